package piccolo_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// batch is the nth of producer p on partition 0, and carries value.
func batch(n uint64, value int64) *piccolo.Batch {
	return &piccolo.Batch{
		BatchID:    piccolo.BatchID{Producer: "p", Seq: n},
		Increments: 1,
		Deltas:     []piccolo.Delta{{Key: "k", Value: value}},
	}
}

var p0 = piccolo.Origin{Producer: "p"}

// A durable consumer delivers 4, 5, 6 first when 1, 2, 3 were fetched by a
// writer that died.
func TestLedgerCountsWhatComesLate(t *testing.T) {
	var ledger piccolo.Ledger
	for _, seqs := range [][]uint64{{4, 5, 6}, {1, 2, 3}} {
		draft := ledger.Draft()
		for _, seq := range seqs {
			if !draft.Fold(batch(seq, 10)) {
				t.Errorf("%d was taken for a duplicate", seq)
			}
		}
		draft.Commit()
	}
	want := books{watermark: 6, batches: 6, increments: 6, sum: 6 * 10}
	if got := booksOf(ledger.Account(p0)); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDraftLeavesTheLedgerAlone(t *testing.T) {
	var ledger piccolo.Ledger
	draft := ledger.Draft()
	draft.Fold(batch(1, 1))
	draft.Fold(batch(3, 1)) // a range above the watermark, which copies must not share
	draft.Commit()
	before := books{watermark: 1, above: "3", batches: 2, increments: 2, sum: 2 * 1}

	draft = ledger.Draft()
	for _, seq := range []uint64{2, 4, 7} {
		if !draft.Fold(batch(seq, 5)) {
			t.Errorf("%d was taken for a duplicate", seq)
		}
		if draft.Fold(batch(seq, 5)) {
			t.Errorf("%d was folded twice in one draft", seq)
		}
	}
	if draft.Fold(batch(3, 5)) {
		t.Error("3, which the ledger has, was folded again")
	}
	if got := booksOf(ledger.Account(p0)); got != before {
		t.Errorf("before the commit: got %+v, want %+v", got, before)
	}
	if ledger.Folded(batch(2, 0).BatchID) || ledger.Folded(batch(7, 0).BatchID) {
		t.Error("the ledger has what was only drafted")
	}
	if len(draft.Accounts()) != 1 {
		t.Errorf("the draft changed %d accounts, want 1", len(draft.Accounts()))
	}

	draft.Commit()
	after := books{watermark: 4, above: "7", batches: 5, increments: 5, sum: 2*1 + 3*5}
	if got := booksOf(ledger.Account(p0)); got != after {
		t.Errorf("after the commit: got %+v, want %+v", got, after)
	}
}

// What only the fold knows is entered beside what the batch says, and is as
// much a draft as that.
func TestDraftAdjust(t *testing.T) {
	var ledger piccolo.Ledger
	draft := ledger.Draft()
	b := batch(1, 10)
	b.Deltas = append(b.Deltas, piccolo.Delta{Key: "k", Value: 100, Op: piccolo.OpSet})
	draft.Fold(b)
	draft.Adjust(p0, 100-10, 1)
	draft.Adjust(p0, -5, 2)
	if a := ledger.Account(p0); a.Sum != 0 || a.Skipped != 0 {
		t.Errorf("before the commit: got %+v", a)
	}
	draft.Commit()
	if a := ledger.Account(p0); a.Sum != 10+100-10-5 || a.Skipped != 3 || a.Increments != 1 {
		t.Errorf("got %+v, want a sum of 95, 3 skipped and 1 increment", a)
	}
}

// An account that is handed out is a copy.
func TestAccountIsACopy(t *testing.T) {
	var ledger piccolo.Ledger
	var a piccolo.Account
	for _, seq := range []uint64{3, 5} {
		a.Seqs.Add(seq)
	}
	ledger.Put(p0, a)
	got := ledger.Account(p0)
	got.Seqs.Add(4)
	got.Seqs.Add(1)
	if again := ledger.Account(p0); again.Seqs.Above() != "3,5" {
		t.Errorf("a change of the copy reached the ledger: %d above %q", again.Seqs.Watermark(), again.Seqs.Above())
	}
}

// A draft that changed nothing has nothing to write.
func TestDraftOfDuplicates(t *testing.T) {
	var ledger piccolo.Ledger
	draft := ledger.Draft()
	draft.Fold(batch(1, 1))
	draft.Commit()
	draft = ledger.Draft()
	draft.Fold(batch(1, 1))
	if n := len(draft.Accounts()); n > 0 {
		t.Errorf("a duplicate changed %d accounts", n)
	}
}

func TestLedgerMissing(t *testing.T) {
	var ledger piccolo.Ledger
	draft := ledger.Draft()
	for _, id := range []piccolo.BatchID{
		{Producer: "p", Partition: 0, Seq: 1},
		{Producer: "p", Partition: 0, Seq: 4}, // 2, 3
		{Producer: "q", Partition: 0, Seq: 3}, // 1, 2
		{Producer: "r", Partition: 0, Seq: 1},
		{Producer: "p", Partition: 1, Seq: 2}, // 1
	} {
		draft.Fold(&piccolo.Batch{BatchID: id})
	}
	draft.Commit()
	for partition, want := range []uint64{2 + 2, 1, 0} {
		if got := ledger.Missing(partition); got != want {
			t.Errorf("partition %d: got %d, want %d", partition, got, want)
		}
	}

	// What is missing later is told from what is missing now.
	heads := ledger.Heads(0)
	if want := map[string]uint64{"p": 4, "q": 3}; !maps.Equal(heads, want) {
		t.Errorf("got heads %v, want %v", heads, want)
	}
	draft = ledger.Draft()
	draft.Fold(&piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Seq: 3}})  // 2 is left of those
	draft.Fold(&piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Seq: 9}})  // 5 to 8 are new
	draft.Fold(&piccolo.Batch{BatchID: piccolo.BatchID{Producer: "q", Seq: 1}})  // as 2 is of q
	draft.Fold(&piccolo.Batch{BatchID: piccolo.BatchID{Producer: "s", Seq: 10}}) // 1 to 9 are new
	draft.Commit()
	if got, want := ledger.MissingBelow(0, heads), uint64(1+1); got != want {
		t.Errorf("got %d, want %d of the %d that are missing", got, want, ledger.Missing(0))
	}
	if got := ledger.MissingBelow(0, nil); got > 0 {
		t.Errorf("got %d, want none below nothing", got)
	}
}

// books is what an account comes to, as text where it is kept as text.
type books struct {
	watermark  uint64
	above      string
	batches    uint64
	increments uint64
	sum        int64
}

func booksOf(a piccolo.Account) books {
	return books{a.Seqs.Watermark(), a.Seqs.Above(), a.Batches, a.Increments, a.Sum}
}

// Whatever order the stream delivers batches in, however often, and whichever
// commits fail on the way: the accounts are the same.
func TestLedgerIsIndependentOfDelivery(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var published []piccolo.Batch
		want := make(map[piccolo.Origin]books)
		for i := range rapid.IntRange(1, 4).Draw(t, "origins") {
			o := piccolo.Origin{Producer: fmt.Sprint("p", i%2), Partition: i / 2}
			w := books{watermark: rapid.Uint64Range(1, 8).Draw(t, "batches")}
			for seq := range w.watermark {
				b := piccolo.Batch{
					BatchID:    piccolo.BatchID{Producer: o.Producer, Partition: o.Partition, Seq: seq + 1},
					Increments: rapid.Uint64Range(1, 9).Draw(t, "increments"),
					Deltas:     []piccolo.Delta{{Key: "k", Value: values().Draw(t, "value")}},
				}
				published = append(published, b)
				w.batches++
				w.increments += b.Increments
				w.sum += b.Deltas[0].Value
			}
			want[o] = w
		}
		repeated := rapid.SliceOf(rapid.SampledFrom(published)).Draw(t, "repeated")
		coming := rapid.Permutation(append(slices.Clone(published), repeated...)).Draw(t, "delivered")

		var ledger piccolo.Ledger
		for len(coming) > 0 {
			n := rapid.IntRange(1, len(coming)).Draw(t, "in one commit")
			step := coming[:n]
			coming = coming[n:]
			draft := ledger.Draft()
			for i := range step {
				if draft.Fold(&step[i]) && ledger.Folded(step[i].BatchID) {
					t.Fatalf("%v was folded twice", step[i].BatchID)
				}
			}
			if rapid.IntRange(0, 4).Draw(t, "fails at 0") == 0 {
				coming = slices.Concat(coming, step) // they come again
			} else {
				draft.Commit()
			}
		}
		for o, w := range want {
			if got := booksOf(ledger.Account(o)); got != w {
				t.Fatalf("%v: got %+v, want %+v", o, got, w)
			}
			if n := ledger.Missing(o.Partition); n > 0 {
				t.Fatalf("partition %d misses %d batches", o.Partition, n)
			}
		}
	})
}

// What is missing is found without a look at every account, and is what a look at
// every account would find.
func TestLedgerMissingIsThatOfAllAccounts(t *testing.T) {
	origins := rapid.Custom(func(t *rapid.T) piccolo.Origin {
		return piccolo.Origin{Producer: fmt.Sprint("p", rapid.IntRange(0, 3).Draw(t, "producer")), Partition: rapid.IntRange(0, 2).Draw(t, "partition")}
	})
	rapid.Check(t, func(t *rapid.T) {
		var ledger piccolo.Ledger
		seen := make(map[piccolo.Origin]bool)
		walk := func(partition int, of func(piccolo.Origin, *piccolo.SeqSet) uint64) (n uint64) {
			for o := range seen {
				if a := ledger.Account(o); o.Partition == partition {
					n += of(o, &a.Seqs)
				}
			}
			return n
		}
		heads := make([]map[piccolo.Origin]uint64, 3) // of all accounts, and by Heads
		known := make([]map[string]uint64, 3)
		t.Repeat(map[string]func(*rapid.T){
			"fold": func(t *rapid.T) {
				draft := ledger.Draft()
				for range rapid.IntRange(1, 5).Draw(t, "batches") {
					o := origins.Draw(t, "origin")
					seen[o] = true
					draft.Fold(&piccolo.Batch{BatchID: piccolo.BatchID{Producer: o.Producer, Partition: o.Partition, Seq: rapid.Uint64Range(1, 12).Draw(t, "seq")}})
				}
				if rapid.Bool().Draw(t, "commits") {
					draft.Commit()
				}
			},
			"read": func(t *rapid.T) { // an account, as it is in the database
				o := origins.Draw(t, "origin")
				var a piccolo.Account
				for _, seq := range rapid.SliceOf(rapid.Uint64Range(1, 12)).Draw(t, "seqs") {
					a.Seqs.Add(seq)
				}
				if len(heads[o.Partition]) == 0 { // an account loses nothing while somebody compares
					ledger.Put(o, a)
					seen[o] = true
				}
			},
			"look": func(t *rapid.T) {
				p := rapid.IntRange(0, 2).Draw(t, "partition")
				known[p], heads[p] = ledger.Heads(p), make(map[piccolo.Origin]uint64)
				walk(p, func(o piccolo.Origin, s *piccolo.SeqSet) uint64 { heads[p][o] = s.Max(); return 0 })
			},
			"": func(t *rapid.T) {
				for p := range heads {
					if got, want := ledger.Missing(p), walk(p, func(_ piccolo.Origin, s *piccolo.SeqSet) uint64 { return s.Missing() }); got != want {
						t.Fatalf("partition %d: %d are missing, want %d", p, got, want)
					}
					below := walk(p, func(o piccolo.Origin, s *piccolo.SeqSet) uint64 { return s.MissingBelow(heads[p][o]) })
					if got := ledger.MissingBelow(p, known[p]); got != below {
						t.Fatalf("partition %d: %d are missing below the heads, want %d", p, got, below)
					}
				}
			},
		})
	})
}

// Accounts are kept for ever, and what a partition misses is asked once a second:
// that must not cost more the more there are.
func TestLedgerMissingOfManyAccounts(t *testing.T) {
	const partitions, producers = 8, 5000
	var ledger piccolo.Ledger
	for p := range partitions {
		for i := range producers {
			var a piccolo.Account
			a.Seqs.Add(1)
			ledger.Put(piccolo.Origin{Producer: fmt.Sprint(i), Partition: p}, a)
		}
	}
	start := time.Now()
	for range 100 {
		for p := range partitions {
			if n := ledger.Missing(p) + ledger.MissingBelow(p, ledger.Heads(p)); n > 0 {
				t.Fatalf("partition %d misses %d batches", p, n)
			}
		}
	}
	if took := time.Since(start); took > time.Second { // it is a millisecond, and was some seconds
		t.Errorf("took %v", took)
	}
}
