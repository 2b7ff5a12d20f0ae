package sqlite_test

import (
	"fmt"
	"math"
	"math/big"
	"path/filepath"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

const (
	least = math.MinInt64
	most  = math.MaxInt64
)

func moved(key string, deltas int) piccolo.Moved {
	return piccolo.Moved{Deltas: deltas, Keys: 1, Some: []string{key}}
}

// What would leave int64 waits in the quarantine, and the value stays what it
// was: SQLite alone would make a REAL of it.
func TestOverflowIsQuarantined(t *testing.T) {
	for _, tt := range []struct{ value, delta int64 }{
		{most, 1},
		{1, most},
		{most, most},
		{most - 1, 2},
		{least, -1}, // as a REAL, this is least again
		{-1, least},
		{least, least},
		{least + 1, -2},
		{least, -1024}, // as are all down to here
	} {
		store, db := openNew(t)
		add(t, store, "k", tt.value)
		folded := add(t, store, "k", tt.delta)
		if want := moved("k", 1); !reflect.DeepEqual(folded.Quarantined, want) {
			t.Errorf("%d + %d: quarantined %v, want %v", tt.value, tt.delta, folded.Quarantined, want)
		}
		db.want(t, "SELECT typeof(value), value FROM numbers", fmt.Sprintf("integer|%d", tt.value))
		db.want(t, "SELECT key, value FROM quarantine", fmt.Sprintf("k|%d", tt.delta))
	}
}

func TestTheEndsOfInt64AreValues(t *testing.T) {
	for _, tt := range []struct{ value, delta, sum int64 }{
		{most - 1, 1, most},
		{least + 1, -1, least},
		{most, least, -1},
		{least, most, -1},
	} {
		store, db := openNew(t)
		add(t, store, "k", tt.value)
		if folded := add(t, store, "k", tt.delta); folded.Quarantined.Deltas > 0 {
			t.Errorf("%d + %d: quarantined %v", tt.value, tt.delta, folded.Quarantined)
		}
		db.want(t, "SELECT typeof(value), value FROM numbers", fmt.Sprintf("integer|%d", tt.sum))
		db.want(t, "SELECT count(*) FROM quarantine", "0")
	}
}

// One key at its end harms none of those that share a statement with it.
func TestOverflowAmongOthers(t *testing.T) {
	const n = 3*sqlite.Chunk + 7
	for _, at := range []int{0, sqlite.Chunk - 1, sqlite.Chunk, 2*sqlite.Chunk + 1, n - 1} {
		store, db := openNew(t)
		deltas := make([]piccolo.Delta, n)
		for i := range deltas {
			deltas[i] = piccolo.Delta{Key: fmt.Sprintf("key %03d", i), Value: 2}
		}
		full := deltas[at].Key
		add(t, store, full, most)
		for range 2 {
			if folded := fold(t, store, deltas...); folded.Rows != n || folded.Quarantined.Deltas != 1 {
				t.Errorf("at %d: got %+v, want %d rows and 1 in the quarantine", at, folded, n)
			}
		}
		db.want(t, "SELECT count(*), sum(value) FROM numbers WHERE key <> ?", fmt.Sprintf("%d|%d", n-1, (n-1)*2*2), full)
		wantValue(t, store, full, most)
		db.want(t, "SELECT key, value FROM quarantine", full+"|2\n"+full+"|2")
	}
}

// As soon as the true total fits, it is the value.
func TestQuarantineHeals(t *testing.T) {
	store, db := openNew(t)
	add(t, store, "k", most)
	add(t, store, "k", 10)
	add(t, store, "k", 5)
	if folded := add(t, store, "k", -14); folded.Released.Deltas > 0 { // most+1
		t.Errorf("released %v too early", folded.Released)
	}
	wantValue(t, store, "k", most)
	db.want(t, "SELECT value FROM quarantine ORDER BY id", "10\n5\n-14")

	folded := add(t, store, "k", -1)
	if want := moved("k", 3); !reflect.DeepEqual(folded.Released, want) || folded.Quarantined.Deltas > 0 {
		t.Errorf("released %v and quarantined %v, want %v and none", folded.Released, folded.Quarantined, want)
	}
	wantValue(t, store, "k", most) // + 10 + 5 - 14 - 1
	db.want(t, "SELECT count(*) FROM quarantine", "0")
	add(t, store, "k", -most)
	wantValue(t, store, "k", 0)
}

// Also when the delta that makes it fit comes in the next statement of the
// same commit.
func TestQuarantineHealsAcrossStatements(t *testing.T) {
	store, db := openNew(t)
	add(t, store, "k", 10)
	var deltas []piccolo.Delta
	for i := range sqlite.Chunk - 1 {
		deltas = append(deltas, piccolo.Delta{Key: fmt.Sprint("a", i), Value: 1})
	}
	deltas = append(deltas, piccolo.Delta{Key: "k", Value: most}, piccolo.Delta{Key: "k", Value: -11})
	for i := range sqlite.Chunk {
		deltas = append(deltas, piccolo.Delta{Key: fmt.Sprint("z", i), Value: 1})
	}
	fold(t, store, deltas...)
	wantValue(t, store, "k", most-1) // 10 + most - 11
	db.want(t, "SELECT count(*) FROM quarantine", "0")
}

func TestQuarantineSurvivesOpening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.db")
	first := open(t, path)
	add(t, first, "k", least)
	add(t, first, "k", -10)

	second := open(t, path)
	if folded := add(t, second, "k", 30); folded.Released.Deltas != 1 {
		t.Errorf("released %v, want the -10", folded.Released)
	}
	wantValue(t, second, "k", least-10+30)
	outside(t, path).want(t, "SELECT count(*) FROM quarantine", "0")
}

// A commit that heals a key and then fails has not healed it.
func TestQuarantineAfterARollback(t *testing.T) {
	store, db := openNew(t)
	add(t, store, "k", most-3)
	add(t, store, "k", 10)
	db.exec(t, "CREATE TRIGGER fail BEFORE INSERT ON ledger BEGIN SELECT raise(ABORT, 'made to fail'); END")
	healing := foldOf(new(piccolo.Ledger), batchOf("p", 1, piccolo.Delta{Key: "k", Value: -20}))
	if _, err := store.Commit(t.Context(), healing); err == nil {
		t.Fatal("committed")
	}
	db.exec(t, "DROP TRIGGER fail")
	db.want(t, "SELECT key, value FROM quarantine", "k|10")
	if _, err := store.Commit(t.Context(), healing); err != nil {
		t.Fatal(err)
	}
	wantValue(t, store, "k", most-3+10-20)
	db.want(t, "SELECT count(*) FROM quarantine", "0")
}

// Whoever deletes a key sets its value to 0, no more: what is in the
// quarantine, and what comes, still counts.
func TestQuarantineOfADeletedKey(t *testing.T) {
	store, db := openNew(t)
	add(t, store, "k", most)
	add(t, store, "k", 10)
	db.exec(t, "DELETE FROM numbers WHERE key = 'k'")
	add(t, store, "k", 5)
	wantValue(t, store, "k", 0+10+5)
}

// Whoever waits for the total of a quarantined key gets its value, and asking
// again, as a batch does that is delivered again, adds nothing.
func TestTotalOfAQuarantinedKey(t *testing.T) {
	store, db := openNew(t)
	add(t, store, "k", most)
	for _, value := range []int64{1, 0} {
		folded := fold(t, store, piccolo.Delta{Key: "k", Value: value, WantTotal: true})
		if got, ok := folded.Totals["k"]; !ok || got != most {
			t.Errorf("got %d, found %v, want %d", got, ok, int64(most))
		}
	}
	db.want(t, "SELECT value FROM quarantine", "1")
}

// Whatever deltas come, in whatever order and in whichever statements: value
// and quarantine add up to the true sum at every moment, and where that fits
// int64, the value alone does.
func TestNothingIsLostAtTheEnds(t *testing.T) {
	store, db := openNew(t)
	nearTheEnds := rapid.OneOf(
		rapid.Int64Range(-3, 3),
		rapid.Int64Range(most-3, most),
		rapid.Int64Range(least, least+3),
		rapid.Int64Range(most/2-1, most/2+3),
		rapid.Int64(),
	)
	keys := 0
	rapid.Check(t, func(t *rapid.T) {
		keys++
		key := fmt.Sprint("k", keys)
		sum := new(big.Int) // of what was added to key
		check := func() {
			t.Helper()
			value := db.sum(t, "SELECT value FROM numbers WHERE key = ?", key)
			held := db.sum(t, "SELECT value FROM quarantine WHERE key = ?", key)
			if got := new(big.Int).Add(value, held); got.Cmp(sum) != 0 {
				t.Fatalf("value %v and quarantine %v add up to %v, want %v", value, held, got, sum)
			}
			if sum.IsInt64() {
				wantValue(t, store, key, sum.Int64())
				db.want(t, "SELECT count(*) FROM quarantine WHERE key = ?", "0", key)
			}
		}
		for range rapid.IntRange(1, 3).Draw(t, "folds") {
			var deltas []piccolo.Delta
			for i := range rapid.SampledFrom([]int{0, 0, sqlite.Chunk - 1, sqlite.Chunk - 2}).Draw(t, "keys before") {
				deltas = append(deltas, piccolo.Delta{Key: fmt.Sprint("a", i), Value: 1})
			}
			for _, value := range rapid.SliceOfN(nearTheEnds, 1, 4).Draw(t, "deltas") {
				deltas = append(deltas, piccolo.Delta{Key: key, Value: value})
				sum.Add(sum, big.NewInt(value))
			}
			for i := range rapid.SampledFrom([]int{0, sqlite.Chunk}).Draw(t, "keys behind") {
				deltas = append(deltas, piccolo.Delta{Key: fmt.Sprint("z", i), Value: 1})
			}
			fold(t, store, deltas...)
			check()
		}
		// Back to 0, so that the next key finds no quarantine.
		for sum.Sign() != 0 {
			back := new(big.Int).Neg(sum)
			switch {
			case back.IsInt64():
			case back.Sign() > 0:
				back.SetInt64(most)
			default:
				back.SetInt64(least)
			}
			add(t, store, key, back.Int64())
			sum.Add(sum, back)
			check()
		}
	})
}

// A client that adds the largest value over and over, under one key or under
// many, makes a fold longer by what it takes to read and store its deltas, and no
// more; nor does it when it comes again, or after a start. And not one of its
// deltas is lost.
func TestManyDeltasOfAKeyInTheQuarantine(t *testing.T) {
	store, db := openNew(t)
	steps := store.CountSteps()
	others := make([]piccolo.Delta, 10*sqlite.Chunk)
	for i := range others {
		others[i] = piccolo.Delta{Key: fmt.Sprintf("b%03d", i), Value: 1}
	}
	sum := new(big.Int)
	for round, n := range []int{100_000, 1000} {
		deltas := make([]piccolo.Delta, n)
		for i := range deltas {
			deltas[i] = piccolo.Delta{Key: "a", Value: most}
		}
		sum.Add(sum, new(big.Int).Mul(big.NewInt(most), big.NewInt(int64(n))))
		*steps = 0
		fold(t, store, append(deltas, others...)...)
		// Begin, epoch, value, set, two of the quarantine, commit; and ten
		// chunks of others, of which the rest of one goes row by row.
		if *steps > 10+10+sqlite.Chunk {
			t.Errorf("round %d: %d statements and rows read, for %d deltas of one key and %d others", round, *steps, n, len(others))
		}
		if got := db.sum(t, "SELECT value FROM numbers WHERE key = 'a' UNION ALL SELECT value FROM quarantine"); got.Cmp(sum) != 0 {
			t.Fatalf("round %d: value and quarantine come to %v, want %v", round, got, sum)
		}
	}
	*steps = 0
	add(t, store, "a", 1)
	add(t, store, "a", -1)
	if *steps > 20 {
		t.Errorf("%d statements and rows read for two deltas more", *steps)
	}
	db.want(t, "SELECT count(*), sum(value) FROM numbers WHERE key LIKE 'b%'", fmt.Sprintf("%d|%d", len(others), 2*len(others)))

	store = open(t, store.Path()) // as the next process does
	var back []piccolo.Delta
	for range 101_000 {
		back = append(back, piccolo.Delta{Key: "a", Value: -most})
	}
	if folded := fold(t, store, back...); folded.Released.Deltas < 101_000-1 {
		t.Errorf("released %v", folded.Released)
	}
	db.want(t, "SELECT * FROM numbers WHERE key = 'a'", "a|0")
	db.want(t, "SELECT count(*) FROM quarantine", "0")
}

// A fold puts into the quarantine what its deltas of a key come to, and not each
// of them.
func TestARowForAFold(t *testing.T) {
	store, db := openNew(t)
	add(t, store, "k", most)
	fold(t, store, piccolo.Delta{Key: "k", Value: 5}, piccolo.Delta{Key: "k", Value: most}, piccolo.Delta{Key: "k", Value: -most + 2})
	db.want(t, "SELECT key, value FROM quarantine", "k|7")
	fold(t, store, piccolo.Delta{Key: "k", Value: most}, piccolo.Delta{Key: "k", Value: 3})
	db.want(t, "SELECT value FROM quarantine ORDER BY id", fmt.Sprintf("7\n%d\n3", int64(most)))
	wantValue(t, store, "k", most)
}

// Conservation: what the ledger says was folded is in numbers and quarantine,
// modulo 2^64.
func TestLedgerAccountsForEveryNumber(t *testing.T) {
	store, db := openNew(t)
	ledger := new(piccolo.Ledger)
	seq := uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		var batches []*piccolo.Batch
		for range rapid.IntRange(1, 3).Draw(t, "batches") {
			seq++
			b := batchOf(rapid.SampledFrom([]string{"p", "q"}).Draw(t, "producer"), seq)
			for range rapid.IntRange(0, 5).Draw(t, "deltas") {
				b.Deltas = append(b.Deltas, piccolo.Delta{
					Key:   rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "key"),
					Value: rapid.Int64().Draw(t, "value"),
				})
			}
			batches = append(batches, b)
		}
		if _, err := store.Commit(t.Context(), foldOf(ledger, batches...)); err != nil {
			t.Fatal(err)
		}
		var err error
		if ledger, err = store.Ledger(t.Context()); err != nil {
			t.Fatal(err)
		}
		kept := db.sum(t, "SELECT value FROM numbers UNION ALL SELECT value FROM quarantine")
		said := db.sum(t, "SELECT sum FROM ledger")
		modulo := new(big.Int).Lsh(big.NewInt(1), 64)
		if difference := kept.Sub(kept, said); difference.Mod(difference, modulo).Sign() != 0 {
			t.Fatalf("numbers and quarantine differ from the ledger by %v modulo 2^64", difference)
		}
	})
}
