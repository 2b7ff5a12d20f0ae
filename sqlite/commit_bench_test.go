package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// BenchmarkCommit folds random keys into a table of a million, and does the
// same with the loop that anyone would write over database/sql, with the same
// pragmas on a table of the same form, by turns; the WAL is moved into the
// database after as many pages in both. It reports the time a row
// takes in each, and the ratios of time and of CPU, which carry over between
// machines.
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct{ keys, rows int }{
		{10_000, 1_500},
		{1_000_000, 10_000},
		{1_000_000, 100_000},
	} {
		b.Run(fmt.Sprintf("%d_of_%d", c.rows, c.keys), func(b *testing.B) {
			dir := b.TempDir()
			store, err := sqlite.Open(b.Context(), filepath.Join(dir, "store.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			bare := openBare(b, filepath.Join(dir, "bare.db"))
			everything := deltas(c.keys, c.keys)
			commit(b, store, everything)
			bare.commit(b, everything)

			var inStore, inBare, cpuStore, cpuBare time.Duration
			for b.Loop() {
				some := deltas(c.keys, c.rows)
				cpu, start := cpuTime(), time.Now()
				commit(b, store, some)
				cpuMiddle, middle := cpuTime(), time.Now()
				bare.commit(b, some)
				inStore += middle.Sub(start)
				inBare += time.Since(middle)
				cpuStore += cpuMiddle - cpu
				cpuBare += cpuTime() - cpuMiddle
			}
			rows := float64(b.N * c.rows)
			b.ReportMetric(float64(inStore.Nanoseconds())/rows, "store-ns/row")
			b.ReportMetric(float64(inBare.Nanoseconds())/rows, "bare-ns/row")
			b.ReportMetric(float64(inStore)/float64(inBare), "ratio")
			b.ReportMetric(float64(cpuStore)/float64(cpuBare), "cpu-ratio")
		})
	}
}

// deltas returns n deltas for random keys of total, sorted, no key twice.
func deltas(total, n int) []piccolo.Delta {
	out := make([]piccolo.Delta, 0, n)
	for _, i := range rand.Perm(total)[:n] {
		out = append(out, piccolo.Delta{Key: fmt.Sprintf("key-%08d-abcd", i), Value: int64(i % 100)})
	}
	slices.SortFunc(out, func(a, b piccolo.Delta) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func commit(b *testing.B, store *sqlite.Store, deltas []piccolo.Delta) {
	b.Helper()
	if _, err := store.Commit(b.Context(), &piccolo.Fold{Deltas: deltas}); err != nil {
		b.Fatal(err)
	}
}

// bare is a database with numbers alone.
type bare struct{ db *sql.DB }

func openBare(b *testing.B, path string) bare {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=page_size(2048)"+
		"&_pragma=synchronous(full)&_pragma=wal_autocheckpoint(32768)&_pragma=cache_size(-65536)&_pragma=journal_size_limit(100663296)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	// The driver sets pragmas in the order of their names; this one fixes the
	// size of the pages.
	if _, err := db.ExecContext(b.Context(), "PRAGMA journal_mode = wal"); err != nil {
		b.Fatal(err)
	}
	_, err = db.ExecContext(b.Context(), "CREATE TABLE numbers (key TEXT PRIMARY KEY, value INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID")
	if err != nil {
		b.Fatal(err)
	}
	return bare{db}
}

func (s bare) commit(b *testing.B, deltas []piccolo.Delta) {
	b.Helper()
	tx, err := s.db.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	stmt, err := tx.Prepare("INSERT INTO numbers VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = value + excluded.value")
	if err != nil {
		b.Fatal(err)
	}
	for _, d := range deltas {
		if _, err := stmt.ExecContext(context.Background(), d.Key, d.Value); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}
