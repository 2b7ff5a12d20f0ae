package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A reader sees what is committed while the database is open for writing, and
// cannot change it.
func TestReaderBesideAWriter(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "numbers?#.db") // a name that a URI must escape
	store, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r, err := OpenReader(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()

	if _, ok, err := r.Value(ctx, "a"); ok || err != nil {
		t.Fatalf("a key never counted: found %v, error %v", ok, err)
	}
	if _, err := store.conn.ExecContext(ctx, "INSERT INTO numbers VALUES ('a', -7)"); err != nil {
		t.Fatal(err)
	}
	if value, ok, err := r.Value(ctx, "a"); value != -7 || !ok || err != nil {
		t.Fatalf("got %d, found %v, error %v; want -7", value, ok, err)
	}
	if _, err := r.db.ExecContext(ctx, "UPDATE numbers SET value = 0"); err == nil {
		t.Fatal("a reader changed the database")
	}
}

// After a clean stop nothing but the database file is left, and it can be read.
func TestReaderWithoutAWriter(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "numbers.db")
	store, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Value(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if store, err = Open(ctx, path); err != nil {
		t.Fatalf("the database cannot be written after it was read: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReaderRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "numbers.db")
	if _, err := OpenReader(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v, want fs.ErrNotExist", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("opening for reading made %v", entries)
	}
	if _, err := OpenReader(t.Context(), dir); err == nil {
		t.Error("a directory was taken for a database of numbers")
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReader(t.Context(), path); err == nil {
		t.Error("an empty file was taken for a database of numbers")
	}
}
