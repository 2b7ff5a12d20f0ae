package sqlite_test

import (
	"maps"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

func TestCommitWritesTheLedger(t *testing.T) {
	store, db := openNew(t)
	ledger := new(piccolo.Ledger)
	commit := func(batches ...*piccolo.Batch) {
		t.Helper()
		if _, err := store.Commit(t.Context(), foldOf(ledger, batches...)); err != nil {
			t.Fatal(err)
		}
		var err error
		if ledger, err = store.Ledger(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const query = "SELECT * FROM ledger ORDER BY producer"
	commit(batchOf("p", 2, piccolo.Delta{Key: "a", Value: 1}), batchOf("p", 3, piccolo.Delta{Key: "a", Value: 2}))
	db.want(t, query, "p|0|0|2-3|2|2|3|0")
	commit(batchOf("p", 5, piccolo.Delta{Key: "a", Value: 4}), batchOf("q", 1, piccolo.Delta{Key: "a", Value: -8}, piccolo.Delta{Key: "b", Value: 1}))
	db.want(t, query, "p|0|0|2-3,5|3|3|7|0\nq|0|1||1|2|-7|0")
	commit(batchOf("p", 1, piccolo.Delta{Key: "a", Value: 16}))
	db.want(t, query, "p|0|3|5|4|4|23|0\nq|0|1||1|2|-7|0")
	wantValue(t, store, "a", 1+2+4-8+16)
}

// Counts are kept modulo 2^64, as sums are. Whoever publishes may say what
// they like, and the ledger can be read all the same.
func TestLedgerReadsBackWhatWasWritten(t *testing.T) {
	store, _ := openNew(t)
	var a piccolo.Account
	for _, seq := range []uint64{1, 2, 4, 5, 9, math.MaxInt64} {
		a.Seqs.Add(seq)
	}
	a.Batches, a.Increments, a.Sum, a.Skipped = 6, math.MaxUint64, math.MinInt64, math.MaxUint64-1
	want := map[piccolo.Origin]*piccolo.Account{
		{Producer: "p", Partition: 0}:    &a,
		{Producer: "p", Partition: 1023}: {Batches: 1, Increments: math.MaxInt64 + 1, Sum: math.MaxInt64},
	}
	if _, err := store.Commit(t.Context(), &piccolo.Fold{Accounts: want}); err != nil {
		t.Fatal(err)
	}
	ledger, err := store.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for o, w := range want {
		if got := ledger.Account(o); !reflect.DeepEqual(got, *w) {
			t.Errorf("%v: got %+v, want %+v", o, got, *w)
		}
	}
}

func TestPositionsReadBackWhatWasWritten(t *testing.T) {
	store, _ := openNew(t)
	created := time.Date(2024, 2, 29, 12, 0, 0, 123456000, time.UTC)
	for _, step := range []map[int]piccolo.Position{
		{0: {Created: created, StreamSeq: 17}, 3: {Created: created, StreamSeq: 1}},
		{3: {Created: created.Add(time.Hour), StreamSeq: 0}},
		{7: {}},
		{},
	} {
		if _, err := store.Commit(t.Context(), &piccolo.Fold{Positions: step}); err != nil {
			t.Fatal(err)
		}
	}
	want := map[int]piccolo.Position{
		0: {Created: created, StreamSeq: 17},
		3: {Created: created.Add(time.Hour)},
		7: {},
	}
	got, err := store.Positions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(got, want, func(a, b piccolo.Position) bool {
		return a.StreamSeq == b.StreamSeq && a.Created.Equal(b.Created) && a.Created.IsZero() == b.Created.IsZero()
	}) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRejectedIsKept(t *testing.T) {
	store, db := openNew(t)
	_, err := store.Commit(t.Context(), &piccolo.Fold{Rejected: []piccolo.Rejected{
		{Partition: 2, StreamSeq: 17, Reason: "no batch", Data: []byte("\x00\xff")},
		{Partition: 0, StreamSeq: 18, Reason: "empty", Data: []byte{}},
		{Partition: 0, StreamSeq: 19, Reason: "nothing at all", Data: nil},
	}})
	if err != nil {
		t.Fatal(err)
	}
	db.want(t, `SELECT "partition", stream_seq, reason, quote(data), at GLOB '20*T*Z' FROM rejected ORDER BY id`,
		"2|17|no batch|X'00FF'|1\n0|18|empty|X''|1\n0|19|nothing at all|X''|1")
}

// A message that is delivered again is in the table already. After a roll back of
// the stream another one may have its number.
func TestRejectedIsKeptOnce(t *testing.T) {
	store, db := openNew(t)
	stored := time.Unix(1000, 0)
	first := piccolo.Rejected{Partition: 2, StreamSeq: 17, Stored: stored, Reason: "no batch", Data: []byte("a")}
	another := piccolo.Rejected{Partition: 2, StreamSeq: 17, Stored: stored.Add(time.Second), Reason: "no batch", Data: []byte("b")}
	for _, rejected := range [][]piccolo.Rejected{{first, first}, {first}, {another, first}} {
		if _, err := store.Commit(t.Context(), &piccolo.Fold{Rejected: rejected}); err != nil {
			t.Fatal(err)
		}
	}
	db.want(t, "SELECT data FROM rejected ORDER BY id", "a\nb")
}

// Totals are read in the transaction, after all of its deltas.
func TestTotals(t *testing.T) {
	store, _ := openNew(t)
	fold(t, store, piccolo.Delta{Key: "a", Value: 5}, piccolo.Delta{Key: "b", Value: 7})
	folded := fold(t, store,
		piccolo.Delta{Key: "a", Value: -1},
		piccolo.Delta{Key: "b", Value: 10, WantTotal: true},
		piccolo.Delta{Key: "b", Value: 100},
		piccolo.Delta{Key: "c", Value: 0, WantTotal: true},
	)
	want := map[string]int64{"b": 7 + 10 + 100, "c": 0}
	if !maps.Equal(folded.Totals, want) {
		t.Errorf("got %v, want %v", folded.Totals, want)
	}
	if folded.Rows != 4 {
		t.Errorf("got %d rows, want 4", folded.Rows)
	}
}
