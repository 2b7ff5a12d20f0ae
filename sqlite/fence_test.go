package sqlite_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// Whoever opens a database last has it: the one before can no longer commit,
// though it may not know yet.
func TestTheLastToOpenWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.db")
	db := outside(t, path)
	first := open(t, path)
	add(t, first, "a", 1)

	second := open(t, path)
	late := batchOf("p", 1, piccolo.Delta{Key: "a", Value: 10}, piccolo.Delta{Key: "b", Value: 10})
	if _, err := first.Commit(t.Context(), foldOf(new(piccolo.Ledger), late)); !errors.Is(err, piccolo.ErrFenced) {
		t.Fatalf("the first one's commit: got error %v, want %v", err, piccolo.ErrFenced)
	}
	db.want(t, "SELECT * FROM numbers", "a|1")
	db.want(t, "SELECT count(*) FROM ledger", "0")

	if _, err := second.Commit(t.Context(), foldOf(new(piccolo.Ledger), late)); err != nil {
		t.Fatal(err)
	}
	db.want(t, "SELECT * FROM numbers", "a|11\nb|10")
	if _, err := first.Commit(t.Context(), &piccolo.Fold{}); !errors.Is(err, piccolo.ErrFenced) {
		t.Errorf("an empty commit of the first one: got error %v, want %v", err, piccolo.ErrFenced)
	}
	wantValue(t, first, "a", 11) // reading harms nobody
}
