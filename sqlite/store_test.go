package sqlite_test

import (
	"context"
	"database/sql"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/internal/leak"
	"github.com/piccolo-counter/piccolo/sqlite"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// open opens the database at path for the length of the test.
func open(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// openNew opens a new database and lets an outsider look into it.
func openNew(t *testing.T) (*sqlite.Store, outsider) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "numbers.db")
	return open(t, path), outside(t, path)
}

// fold commits deltas, sorted by key, and expects that to work.
func fold(t rapid.TB, store *sqlite.Store, deltas ...piccolo.Delta) piccolo.Folded {
	t.Helper()
	folded, err := store.Commit(context.Background(), &piccolo.Fold{Deltas: deltas})
	if err != nil {
		t.Fatal(err)
	}
	return folded
}

// add is a fold of one delta.
func add(t rapid.TB, store *sqlite.Store, key string, value int64) piccolo.Folded {
	t.Helper()
	return fold(t, store, piccolo.Delta{Key: key, Value: value})
}

// batchOf makes a batch of one increment per delta.
func batchOf(producer string, seq uint64, deltas ...piccolo.Delta) *piccolo.Batch {
	return &piccolo.Batch{
		BatchID:    piccolo.BatchID{Producer: producer, Seq: seq},
		Increments: uint64(len(deltas)),
		Deltas:     deltas,
	}
}

// foldOf makes the fold of batches that come after those in the ledger, their
// deltas as they are.
func foldOf(ledger *piccolo.Ledger, batches ...*piccolo.Batch) *piccolo.Fold {
	fold := new(piccolo.Fold)
	draft := ledger.Draft()
	for _, b := range batches {
		draft.Fold(b)
		fold.Deltas = append(fold.Deltas, b.Deltas...)
	}
	fold.Accounts = draft.Accounts()
	return fold
}

func wantValue(t rapid.TB, store *sqlite.Store, key string, want int64) {
	t.Helper()
	got, ok, err := store.Value(context.Background(), key)
	if err != nil || !ok || got != want {
		t.Fatalf("%s is %d, found %v, error %v; want %d", key, got, ok, err, want)
	}
}

// outsider is another program that has the same database open.
type outsider struct{ *sql.DB }

func outside(t *testing.T, path string) outsider {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return outsider{db}
}

func (o outsider) exec(t rapid.TB, query string) {
	t.Helper()
	if _, err := o.Exec(query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// text returns the result of a query as the sqlite3 shell prints it: columns
// joined by |, rows by a line break.
func (o outsider) text(t rapid.TB, query string, args ...any) string {
	t.Helper()
	rows, err := o.Query(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for rows.Next() {
		row := make([]sql.NullString, len(columns))
		dst := make([]any, len(columns))
		for i := range row {
			dst[i] = &row[i]
		}
		if err := rows.Scan(dst...); err != nil {
			t.Fatal(err)
		}
		if text != "" {
			text += "\n"
		}
		for i, v := range row {
			if i > 0 {
				text += "|"
			}
			text += v.String
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return text
}

func (o outsider) want(t rapid.TB, query, want string, args ...any) {
	t.Helper()
	if got := o.text(t, query, args...); got != want {
		t.Fatalf("%s\ngot  %q\nwant %q", query, got, want)
	}
}

// sum adds up the integers of a query's only column, which SUM() refuses to
// where they leave int64.
func (o outsider) sum(t rapid.TB, query string, args ...any) *big.Int {
	t.Helper()
	rows, err := o.Query(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	sum := new(big.Int)
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		sum.Add(sum, big.NewInt(v))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return sum
}
