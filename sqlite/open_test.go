package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/sqlite"
)

func TestOpenCreates(t *testing.T) {
	store, db := openNew(t)
	for query, want := range map[string]string{
		"PRAGMA application_id": "1346978627", // "PICC"
		"PRAGMA user_version":   "1",
		"PRAGMA journal_mode":   "wal",
		"PRAGMA page_size":      "2048",
		"SELECT strict, wr FROM pragma_table_list WHERE name = 'numbers'":                                                             "1|1",
		`SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info('numbers')`:                                              "key|TEXT|1||1\nvalue|INTEGER|1|0|0",
		"SELECT count(*) FROM numbers":                                                                                                "0",
		"SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%'": "0",
	} {
		db.want(t, query, want)
	}
	if want := db.text(t, "SELECT file FROM pragma_database_list"); store.Path() != want {
		t.Errorf("Path is %s, the database is at %s", store.Path(), want)
	}
}

// schema.sql is what the database has, no more and no less.
func TestSchemaIsThatOfTheFile(t *testing.T) {
	script, err := os.ReadFile("schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, db := openNew(t)
	plain := outside(t, ":memory:")
	plain.exec(t, string(script))
	const schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
	db.want(t, schema, plain.text(t, schema))
}

// Commits wait for the disk: NORMAL was seen to lose them in a power cut.
func TestCommitsAreSynchronous(t *testing.T) {
	store, _ := openNew(t)
	const full = 2
	if got, err := store.Int(t.Context(), "PRAGMA synchronous"); err != nil || got != full {
		t.Errorf("synchronous is %d, error %v, want %d", got, err, full)
	}
}

func TestOpenAgainKeepsAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	add(t, store, "a", 7)
	add(t, store, "a", -9)
	add(t, store, "b", 1)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
		t.Errorf("closing left %v", left)
	}
	store = open(t, path)
	wantValue(t, store, "a", 7-9)
	add(t, store, "a", 3)
	wantValue(t, store, "a", 7-9+3)
	wantValue(t, store, "b", 1)
	if _, found, err := store.Value(t.Context(), "c"); found || err != nil {
		t.Errorf("c, never counted: found %v, error %v", found, err)
	}
}

// A name is a name, whatever it would mean in a URI.
func TestOpenNames(t *testing.T) {
	for _, name := range []string{"a b.db", "a?mode=memory", "a#b", "a%20b", "é.db", "file:a", ":memory:"} {
		dir := t.TempDir()
		add(t, open(t, filepath.Join(dir, name)), "k", 1)
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%q is not where it was asked for: %v", name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"a newer schema", "PRAGMA application_id = 0x50494343; PRAGMA user_version = 2; CREATE TABLE t (x)", "run a newer piccolo"},
		{"other tables", "CREATE TABLE accounts (id); INSERT INTO accounts VALUES (1)", "another program's database"},
		{"other columns", "CREATE TABLE numbers (id, key, value)", "another program's database"},
		{"another application_id", "PRAGMA application_id = 42; CREATE TABLE numbers (key TEXT, value INTEGER)", "another program's database"},
	} {
		path := filepath.Join(t.TempDir(), "other.db")
		db := outside(t, path)
		db.exec(t, tt.script)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		store, err := sqlite.Open(t.Context(), path)
		if err == nil {
			_ = store.Close()
			t.Errorf("%s: opened", tt.name)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %q, want it to say %q and %s", tt.name, err, tt.want, path)
		}
		// Not so much as its journal's mode is ours to change.
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
			t.Errorf("%s: refused, and changed all the same; error %v", tt.name, err)
		}
	}
}

func TestOpenWhereThereIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database\n"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"no directory", filepath.Join(dir, "none", "numbers.db"), "does the directory exist"},
		{"a directory", dir, dir},
		{"a text file", text, "restore it from a backup"},
	} {
		store, err := sqlite.Open(t.Context(), tt.path)
		if err == nil {
			_ = store.Close()
			t.Errorf("%s: opened", tt.name)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q, want it to say %q", tt.name, err, tt.want)
		}
	}
}

// An empty file is a new database.
func TestOpenAnEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store := open(t, path)
	folded := add(t, store, "a", 1)
	wantValue(t, store, "a", 1)
	if folded.Rows != 1 || folded.Quarantined.Deltas > 0 || folded.Released.Deltas > 0 || folded.Totals != nil {
		t.Errorf("got %+v, want one row and no more", folded)
	}
}
