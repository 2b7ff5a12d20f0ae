package sqlite_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// A disk that is full: nothing has happened, and when there is room again the
// same fold goes through.
func TestNoRoom(t *testing.T) {
	store, db := openNew(t)
	big := make([]piccolo.Delta, 5000)
	for i := range big {
		big[i] = piccolo.Delta{Key: string(rune(0x4e00+i)) + "a key that takes some room", Value: 1}
	}
	fold := foldOf(new(piccolo.Ledger), batchOf("p", 1, big...))
	pages, err := store.Int(t.Context(), "PRAGMA page_count")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := store.Int(t.Context(), "PRAGMA max_page_count = "+strconv.Itoa(pages+20)); err != nil || n != pages+20 {
		t.Fatalf("got %d, error %v", n, err)
	}
	for range 2 {
		if _, err := store.Commit(t.Context(), fold); !errors.Is(err, piccolo.ErrNoRoom) {
			t.Fatalf("got error %v, want %v", err, piccolo.ErrNoRoom)
		}
		db.want(t, "SELECT (SELECT count(*) FROM numbers) + (SELECT count(*) FROM ledger)", "0")
	}
	if _, err := store.Int(t.Context(), "PRAGMA max_page_count = 1073741823"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Commit(t.Context(), fold); err != nil {
		t.Fatal(err)
	}
	db.want(t, "SELECT count(*), sum(value) FROM numbers", "5000|5000")
}

// Another program writes in a transaction of its own for longer than a commit
// waits: nothing has happened, and the same fold goes through afterwards.
func TestLocked(t *testing.T) {
	store, db := openNew(t)
	if _, err := store.Int(t.Context(), "PRAGMA busy_timeout = 10"); err != nil {
		t.Fatal(err)
	}
	fold := foldOf(new(piccolo.Ledger), batchOf("p", 1, piccolo.Delta{Key: "a", Value: 1}))
	db.exec(t, "BEGIN IMMEDIATE")
	for range 2 {
		if _, err := store.Commit(t.Context(), fold); !errors.Is(err, piccolo.ErrLocked) {
			t.Fatalf("got error %v, want %v", err, piccolo.ErrLocked)
		}
	}
	db.exec(t, "ROLLBACK")
	db.want(t, "SELECT (SELECT count(*) FROM numbers) + (SELECT count(*) FROM ledger)", "0")
	if _, err := store.Commit(t.Context(), fold); err != nil {
		t.Fatal(err)
	}
	wantValue(t, store, "a", 1)
}
