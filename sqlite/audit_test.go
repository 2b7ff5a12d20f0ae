package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// audited is a database with some numbers, a key in the quarantine, and a ledger
// that accounts for them; with what an audit of it says.
func audited(t *testing.T, spoil string) *sqlite.Audit {
	t.Helper()
	path := filepath.Join(t.TempDir(), "numbers.db")
	store := open(t, path)
	var ledger piccolo.Ledger
	for seq, deltas := range [][]piccolo.Delta{
		{{Key: "foo", Value: math.MaxInt64}},
		{{Key: "bar", Value: -7}, {Key: "foo", Value: 5}},
		{{Key: "baz", Value: math.MinInt64}},
	} {
		draft := ledger.Draft()
		draft.Fold(batchOf("p", uint64(seq+1), deltas...))
		if _, err := store.Commit(t.Context(), &piccolo.Fold{Deltas: deltas, Accounts: draft.Accounts(), Positions: map[int]piccolo.Position{0: {StreamSeq: uint64(seq + 1)}}}); err != nil {
			t.Fatal(err)
		}
		draft.Commit()
	}
	if spoil != "" {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), spoil); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := sqlite.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	a, err := reader.Audit(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuditOfWhatAddsUp(t *testing.T) {
	t.Parallel()
	a := audited(t, "")
	if len(a.Schema)+len(a.Integrity)+len(a.Ledger)+len(a.Sums) > 0 {
		t.Errorf("%+v", a)
	}
	if a.Numbers != 3 || a.Quarantined != 1 || a.QuarantineSum != 5 || a.Batches != 3 || a.Increments != 4 || a.Positions[0].StreamSeq != 3 || a.Database == "" {
		t.Errorf("%+v", a)
	}
	account := a.Accounts[piccolo.Origin{Producer: "p"}]
	if account.Seqs.Watermark() != 3 || a.LedgerSum != account.Sum || account.Sum != a.Sum+5 {
		t.Errorf("%+v", a)
	}
}

// Whatever is changed by hand is found, each in its place.
func TestAuditFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spoil string
		where func(*sqlite.Audit) []string
		says  string
	}{
		{"UPDATE numbers SET value = value + 3 WHERE key = 'bar'", sums, "the difference is +3"},
		{"UPDATE numbers SET value = value - 1 WHERE key = 'foo'", sums, "the difference is -1"},
		{"DELETE FROM numbers WHERE key = 'bar'", sums, "the difference is +7"},
		{"INSERT INTO numbers VALUES ('new', 1)", sums, "the difference is +1"},
		{"DELETE FROM quarantine", sums, "the difference is -5"},
		{"UPDATE quarantine SET key = 'bar'", sums, `"bar" is in the quarantine, though`},
		{"UPDATE ledger SET sum = sum + 1", sums, "the difference is -1"},
		{"DELETE FROM ledger", sums, "the ledger says 0"},
		{"UPDATE ledger SET watermark = 2", ledger, "seqs are those of 2 batches, and 3"},
		{"UPDATE ledger SET above = '9'", ledger, "seqs are those of 4 batches"},
		{"UPDATE ledger SET above = 'nonsense'", ledger, "is no set of seqs"},
		{"UPDATE ledger SET watermark = -1", ledger, "is no set of seqs"},
		{"UPDATE ledger SET batches = 4", ledger, "and 4 are said"},
		{"DROP INDEX quarantine_key", schema, "index quarantine_key is missing"},
		{"DROP TABLE fence", schema, "table fence is missing"},
		{"ALTER TABLE rejected ADD COLUMN x TEXT", schema, "table rejected is CREATE TABLE"},
	} {
		a := audited(t, c.spoil)
		all := len(a.Schema) + len(a.Integrity) + len(a.Ledger) + len(a.Sums)
		if found := c.where(a); len(found) != 1 || all != 1 || !strings.Contains(found[0], c.says) {
			t.Errorf("%s: found %q, want %q", c.spoil, found, c.says)
		}
	}
}

// Pages that were overwritten are a finding, wherever they are: in what is read
// for the sums, or nowhere but in an index.
func TestAuditOfADamagedFile(t *testing.T) {
	t.Parallel()
	const page = 2048
	path := filepath.Join(t.TempDir(), "numbers.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var deltas []piccolo.Delta
	for i := range 500 {
		deltas = append(deltas, piccolo.Delta{Key: fmt.Sprintf("key-%04d", i), Value: 1})
	}
	if _, err := store.Commit(t.Context(), foldOf(new(piccolo.Ledger), batchOf("p", 1, deltas...))); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unread := 0
	for at := page; at < len(whole); at += page {
		spoiled := slices.Clone(whole)
		for i := range page {
			spoiled[at+i] = 0xa5
		}
		if err := os.WriteFile(path, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		reader, err := sqlite.OpenReader(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		a, err := reader.Audit(t.Context(), true)
		if err != nil || len(a.Integrity) == 0 {
			t.Errorf("page %d is overwritten: %+v, error %v", at/page+1, a, err)
		} else if a.Unread {
			unread++
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
	if unread == 0 {
		t.Error("no damage was in the way of the sums")
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xa5}, len(whole)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.OpenReader(t.Context(), path); !errors.Is(err, sqlite.ErrDamaged) {
		t.Errorf("the beginning is overwritten: got error %v, want %v", err, sqlite.ErrDamaged)
	}
}

func sums(a *sqlite.Audit) []string   { return a.Sums }
func ledger(a *sqlite.Audit) []string { return a.Ledger }
func schema(a *sqlite.Audit) []string { return a.Schema }

// What is taken over from the ancestor is accounted for, also where the sum of
// it leaves int64.
func TestAuditOfAMigratedDatabase(t *testing.T) {
	t.Parallel()
	for _, values := range []string{"", "('foo', 10), ('bar', -3), ('null', NULL)", "('a', 9223372036854775807), ('b', 9223372036854775807), ('c', 5)", "('a', -9223372036854775808), ('b', -1)", "('a', -1)"} {
		path := filepath.Join(t.TempDir(), "numbers.db")
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		query := "CREATE TABLE numbers(key TEXT, value INTEGER DEFAULT 0);"
		if values != "" {
			query += "INSERT INTO numbers VALUES " + values
		}
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
		store := open(t, path)
		reader, err := sqlite.OpenReader(t.Context(), store.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		a, err := reader.Audit(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Schema)+len(a.Integrity)+len(a.Ledger)+len(a.Sums) > 0 || a.Sum != a.LedgerSum {
			t.Errorf("%s: %+v", values, a)
		}
	}
}
