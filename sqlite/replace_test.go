package sqlite_test

import (
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

func TestSetAndRemove(t *testing.T) {
	store, db := openNew(t)
	add(t, store, "a", 1)
	add(t, store, "b", 2)
	folded := fold(t, store,
		piccolo.Delta{Key: "a", Value: -7, Op: piccolo.OpSet, WantTotal: true},
		piccolo.Delta{Key: "b", Op: piccolo.OpRemove, WantTotal: true},
		piccolo.Delta{Key: "new", Value: 5, Op: piccolo.OpSet},
		piccolo.Delta{Key: "nowhere", Op: piccolo.OpRemove},
	)
	db.want(t, "SELECT * FROM numbers", "a|-7\nnew|5")
	if want := map[string]int64{"a": -7, "b": 0}; !maps.Equal(folded.Totals, want) {
		t.Errorf("got totals %v, want %v", folded.Totals, want)
	}
	add(t, store, "b", 3) // is there again, from nothing
	db.want(t, "SELECT * FROM numbers", "a|-7\nb|3\nnew|5")
}

// What stands in the quarantine is part of the total that is overwritten.
func TestSetClearsTheQuarantine(t *testing.T) {
	for _, d := range []piccolo.Delta{{Key: "k", Value: 10, Op: piccolo.OpSet}, {Key: "k", Op: piccolo.OpRemove}} {
		store, db := openNew(t)
		add(t, store, "k", most)
		add(t, store, "k", 1)
		totals, err := store.Totals(t.Context(), []string{"k", "nowhere"})
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]int64{"k": least, "nowhere": 0}; !maps.Equal(totals, want) {
			t.Errorf("got totals %v, want %v, modulo 2^64", totals, want)
		}
		folded := fold(t, store, d)
		if want := moved("k", 1); !reflect.DeepEqual(folded.Released, want) {
			t.Errorf("released %v, want %v", folded.Released, want)
		}
		db.want(t, "SELECT count(*) FROM quarantine", "0")
		add(t, store, "k", 3) // on top, and the fast way
		wantValue(t, store, "k", d.Value+3)
	}
}

// What is asked for besides the deltas is told, and not made.
func TestWantedTotals(t *testing.T) {
	store, db := openNew(t)
	add(t, store, "a", 1)
	folded, err := store.Commit(t.Context(), &piccolo.Fold{Wanted: []string{"a", "nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]int64{"a": 1, "nowhere": 0}; !maps.Equal(folded.Totals, want) {
		t.Errorf("got totals %v, want %v", folded.Totals, want)
	}
	db.want(t, "SELECT * FROM numbers", "a|1")
}

// Deltas of every kind, in whichever statements, do what a list of them does to
// integers without end.
func TestDeltasApplyInTheirOrder(t *testing.T) {
	store, db := openNew(t)
	keys := 0
	rapid.Check(t, func(t *rapid.T) {
		keys++
		key := fmt.Sprint("k", keys)
		var total *big.Int // nil where there is none
		for range rapid.IntRange(1, 3).Draw(t, "folds") {
			var deltas []piccolo.Delta
			for i := range rapid.SampledFrom([]int{0, 0, sqlite.Chunk - 2}).Draw(t, "keys before") {
				deltas = append(deltas, piccolo.Delta{Key: fmt.Sprint("a", i), Value: 1})
			}
			for range rapid.IntRange(1, 4).Draw(t, "deltas") {
				d := piccolo.Delta{Key: key, Op: piccolo.Op(rapid.IntRange(0, 2).Draw(t, "op"))}
				if d.Op != piccolo.OpRemove {
					d.Value = rapid.SampledFrom([]int64{most, most - 1, 0, 1, -1, least}).Draw(t, "value")
				}
				switch {
				case d.Op == piccolo.OpRemove:
					total = nil
				case d.Op == piccolo.OpSet, total == nil:
					total = big.NewInt(d.Value)
				default:
					total = new(big.Int).Add(total, big.NewInt(d.Value))
				}
				deltas = append(deltas, d)
			}
			for i := range rapid.SampledFrom([]int{0, sqlite.Chunk}).Draw(t, "keys behind") {
				deltas = append(deltas, piccolo.Delta{Key: fmt.Sprint("z", i), Value: 1})
			}
			fold(t, store, deltas...)

			value := db.sum(t, "SELECT value FROM numbers WHERE key = ?", key)
			held := db.sum(t, "SELECT value FROM quarantine WHERE key = ?", key)
			got := new(big.Int).Add(value, held)
			switch {
			case total == nil:
				db.want(t, "SELECT (SELECT count(*) FROM numbers WHERE key = ?1) + (SELECT count(*) FROM quarantine WHERE key = ?1)", "0", key)
			case got.Cmp(total) != 0:
				t.Fatalf("value %v and quarantine %v add up to %v, want %v", value, held, got, total)
			case total.IsInt64() && held.Sign() != 0:
				t.Fatalf("the quarantine holds %v, though %v fits", held, total)
			}
			modulo := wrapped(got)
			if totals, err := store.Totals(t.Context(), []string{key}); err != nil || totals[key] != modulo {
				t.Fatalf("Totals says %d, error %v, want %d", totals[key], err, modulo)
			}
		}
		fold(t, store, piccolo.Delta{Key: key, Op: piccolo.OpRemove}) // so that the next key finds no quarantine
	})
}

// wrapped is x modulo 2^64, as an int64.
func wrapped(x *big.Int) int64 {
	low := new(big.Int).And(x, new(big.Int).SetUint64(1<<64-1))
	return int64(low.Uint64())
}
