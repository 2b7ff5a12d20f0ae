package sqlite_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/sqlite"
)

// ancestor is the schema of the service that this one replaces.
const ancestor = "CREATE TABLE numbers (key TEXT, value INTEGER DEFAULT 0); CREATE UNIQUE INDEX numbers_key ON numbers (key);"

func TestAncestorIsMigratedInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.db")
	db := outside(t, path)
	db.exec(t, ancestor+`
		INSERT INTO numbers VALUES ('foo', 10), ('bar', -9223372036854775808), ('é', 9223372036854775807), ('nothing', NULL);
		INSERT INTO numbers (key) VALUES ('default');
		CREATE TABLE notes (note); INSERT INTO notes VALUES ('keep me');`)

	store := open(t, path)
	db.want(t, "SELECT * FROM numbers ORDER BY key",
		"bar|-9223372036854775808\ndefault|0\nfoo|10\nnothing|0\né|9223372036854775807")
	db.want(t, "SELECT strict, wr FROM pragma_table_list WHERE name = 'numbers'", "1|1")
	db.want(t, "SELECT name FROM sqlite_schema WHERE name IN ('ancestor', 'numbers_key')", "")
	db.want(t, "PRAGMA user_version", "1")
	db.want(t, "PRAGMA journal_mode", "wal")
	db.want(t, "SELECT note FROM notes", "keep me")

	add(t, store, "foo", 5)
	wantValue(t, store, "foo", 10+5)
	add(t, store, "é", 1)
	wantValue(t, store, "é", 1<<63-1) // and one in the quarantine

	db.want(t, "SELECT key, value FROM quarantine", "é|1")
	open(t, path) // is not migrated again
	db.want(t, "SELECT count(*), sum(key = 'foo' AND value = 15) FROM numbers", "5|1")
}

// What is no integer under a key is refused by name: dropping it is not ours
// to decide.
func TestAncestorIsRefusedByTheRow(t *testing.T) {
	for _, tt := range []struct{ row, want string }{
		{"'foo', 'ten'", "key 'foo' with value 'ten'"},
		{"'foo', 1.5", "key 'foo' with value 1.5"},
		{"'foo', 9223372036854775808", "key 'foo' with value 9.2233720368547"}, // the ancestor's overflow
		{"'foo', x'0a'", "key 'foo' with value X'0A'"},
		{"NULL, 1", "key NULL with value 1"},
		{"'', 1", "key '' with value 1"},
		{"x'66', 1", "key X'66' with value 1"},
	} {
		path := filepath.Join(t.TempDir(), "numbers.db")
		db := outside(t, path)
		db.exec(t, ancestor+"INSERT INTO numbers VALUES ('fine', 1), ("+tt.row+")")
		before := db.text(t, "SELECT typeof(key), quote(key), quote(value) FROM numbers ORDER BY key")

		store, err := sqlite.Open(t.Context(), path)
		if err == nil {
			_ = store.Close()
			t.Errorf("%s: migrated", tt.row)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q, want it to say %q", tt.row, err, tt.want)
		}
		db.want(t, "SELECT typeof(key), quote(key), quote(value) FROM numbers ORDER BY key", before)
		db.want(t, "SELECT name FROM sqlite_schema ORDER BY name", "numbers\nnumbers_key")
		db.want(t, "PRAGMA application_id", "0")
	}
}

// A key that no request could name would be in no page either.
func TestAncestorWithKeysThatNobodyCanName(t *testing.T) {
	for value, says := range map[string]string{
		`CAST(x'6b65ff79' AS TEXT)`: `"ke\xffy", which is not valid UTF-8`,
		`CAST(x'6b650079' AS TEXT)`: `"ke\x00y", which contains a NUL byte`,
	} {
		path := filepath.Join(t.TempDir(), "numbers.db")
		db := outside(t, path)
		db.exec(t, "CREATE TABLE numbers(key TEXT, value INTEGER DEFAULT 0)")
		db.exec(t, "INSERT INTO numbers VALUES ('fine', 1), ("+value+", 2)")
		if _, err := sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got error %v, want one that says %s", err, says)
		}
		db.want(t, "SELECT count(*) FROM numbers", "2")
	}
}
