package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// A commit into a file that was deleted or replaced must not count as one: the
// batch is to stay in the stream.
func TestFilesTakenAway(t *testing.T) {
	for name, take := range map[string]func(t *testing.T, path string) error{
		"deleted":         func(t *testing.T, path string) error { return os.Remove(path) },
		"moved":           func(t *testing.T, path string) error { return os.Rename(path, path+".old") },
		"log deleted":     func(t *testing.T, path string) error { return os.Remove(path + "-wal") },
		"backup put over": func(t *testing.T, path string) error { return os.Rename(another(t, path), path) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "numbers.db")
			store := open(t, path)
			add(t, store, "a", 1)
			if err := store.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := take(t, path); err != nil {
				t.Fatal(err)
			}
			if err := store.Check(t.Context()); !errors.Is(err, piccolo.ErrReplaced) {
				t.Errorf("Check: got error %v, want %v", err, piccolo.ErrReplaced)
			}
			_, err := store.Commit(t.Context(), &piccolo.Fold{Deltas: []piccolo.Delta{{Key: "a", Value: 1}}})
			if !errors.Is(err, piccolo.ErrReplaced) {
				t.Errorf("Commit: got error %v, want %v", err, piccolo.ErrReplaced)
			}
		})
	}
}

// another makes a second database beside path.
func another(t *testing.T, path string) string {
	t.Helper()
	path += ".new"
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// The id is random, and stays with the database.
func TestIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.db")
	ids := make(map[string]bool)
	for _, path := range []string{path, another(t, path), path} {
		store, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if len(store.ID()) != 16 {
			t.Errorf("the id is %q", store.ID())
		}
		ids[store.ID()] = true
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != 2 {
		t.Errorf("two databases, opened three times, have %d ids", len(ids))
	}
}
