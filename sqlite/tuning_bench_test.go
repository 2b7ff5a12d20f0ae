package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// tuning is how the loop of BenchmarkTuning writes.
type tuning struct {
	name     string
	pageSize int // bytes
	cache    int // KiB
	mmap     int // bytes
	wal      int // KiB, after which the WAL is moved
	rows     int // of a statement
	shuffled bool
	sync     string
	upsert   string // %s stands for the rows
}

const plainUpsert = "INSERT INTO numbers VALUES %s ON CONFLICT (key) DO UPDATE SET value = value + excluded.value"

var tuned = tuning{pageSize: 2048, cache: 64 << 10, wal: 64 << 10, rows: 64, sync: "full", upsert: plainUpsert}

// BenchmarkTuning folds random keys with everything as the store has it, and
// with one thing at a time changed. Each is compared with the first in the
// same run; docs/performance.md has the table.
func BenchmarkTuning(b *testing.B) {
	vary := func(name string, change func(*tuning)) tuning {
		t := tuned
		t.name = name
		change(&t)
		return t
	}
	variants := []tuning{
		vary("as_it_is", func(*tuning) {}),
		vary("page=1024", func(t *tuning) { t.pageSize = 1024 }),
		vary("page=4096", func(t *tuning) { t.pageSize = 4096 }),
		vary("page=8192", func(t *tuning) { t.pageSize = 8192 }),
		vary("wal=4MiB", func(t *tuning) { t.wal = 4 << 10 }),
		vary("wal=256MiB", func(t *tuning) { t.wal = 256 << 10 }),
		vary("cache=2MiB", func(t *tuning) { t.cache = 2 << 10 }),
		vary("cache=256MiB", func(t *tuning) { t.cache = 256 << 10 }),
		vary("mmap=1GiB", func(t *tuning) { t.mmap = 1 << 30 }),
		vary("statement=1", func(t *tuning) { t.rows = 1 }),
		vary("statement=8", func(t *tuning) { t.rows = 8 }),
		vary("statement=256", func(t *tuning) { t.rows = 256 }),
		vary("shuffled", func(t *tuning) { t.shuffled = true }),
		vary("sync=normal", func(t *tuning) { t.sync = "normal" }),
		vary("replace", func(t *tuning) {
			t.upsert = "REPLACE INTO numbers SELECT column1, column2 + coalesce((SELECT value FROM numbers WHERE key = column1), 0) FROM (VALUES %s)"
		}),
	}
	for _, c := range []struct{ keys, rows int }{
		{10_000, 1_000},
		{1_000_000, 10_000},
		{1_000_000, 100_000},
	} {
		for _, v := range variants {
			b.Run(fmt.Sprintf("%d_of_%d/%s", c.rows, c.keys, v.name), func(b *testing.B) {
				s := v.open(b, filepath.Join(b.TempDir(), "numbers.db"))
				s.commit(b, deltas(c.keys, c.keys))
				var wall, cpu time.Duration
				for b.Loop() {
					some := deltas(c.keys, c.rows)
					if v.shuffled {
						rand.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
					}
					used, start := cpuTime(), time.Now()
					s.commit(b, some)
					wall += time.Since(start)
					cpu += cpuTime() - used
				}
				rows := float64(b.N * c.rows)
				b.ReportMetric(float64(wall.Nanoseconds())/rows, "ns/row")
				b.ReportMetric(float64(cpu.Nanoseconds())/rows, "cpu-ns/row")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// loop writes below database/sql, as the store does.
type loop struct {
	tuning
	conn                *sql.Conn
	begin, commits      driver.Stmt
	many, one           driver.Stmt
	manyArgs, singleArg []driver.NamedValue
}

func (v tuning) open(b *testing.B, path string) *loop {
	b.Helper()
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_txlock=immediate&_pragma=page_size(%d)&_pragma=synchronous(%s)"+
		"&_pragma=wal_autocheckpoint(%d)&_pragma=cache_size(-%d)&_pragma=mmap_size(%d)",
		path, v.pageSize, v.sync, v.wal*1024/v.pageSize, v.cache, v.mmap))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	l := &loop{tuning: v}
	if l.conn, err = db.Conn(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, q := range []string{
		"PRAGMA journal_mode = wal",
		"CREATE TABLE numbers (key TEXT PRIMARY KEY, value INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID",
	} {
		if _, err := l.conn.ExecContext(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	err = l.conn.Raw(func(dc any) (err error) {
		for query, dst := range map[string]*driver.Stmt{
			"BEGIN IMMEDIATE": &l.begin, "COMMIT": &l.commits,
			fmt.Sprintf(v.upsert, strings.TrimSuffix(strings.Repeat("(?, ?),", v.rows), ",")): &l.many,
			fmt.Sprintf(v.upsert+" ", "(?, ?)"):                                               &l.one,
		} {
			if *dst, err = dc.(driver.ConnPrepareContext).PrepareContext(b.Context(), query); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	l.manyArgs, l.singleArg = arguments(2*v.rows), arguments(2)
	return l
}

func arguments(n int) []driver.NamedValue {
	args := make([]driver.NamedValue, n)
	for i := range args {
		args[i].Ordinal = i + 1
	}
	return args
}

func (l *loop) commit(b *testing.B, deltas []piccolo.Delta) {
	b.Helper()
	err := l.conn.Raw(func(any) error {
		if err := exec(l.begin, nil); err != nil {
			return err
		}
		for ; len(deltas) >= l.rows; deltas = deltas[l.rows:] {
			for i, d := range deltas[:l.rows] {
				l.manyArgs[2*i].Value, l.manyArgs[2*i+1].Value = d.Key, d.Value
			}
			if err := exec(l.many, l.manyArgs); err != nil {
				return err
			}
		}
		for _, d := range deltas {
			l.singleArg[0].Value, l.singleArg[1].Value = d.Key, d.Value
			if err := exec(l.one, l.singleArg); err != nil {
				return err
			}
		}
		return exec(l.commits, nil)
	})
	if err != nil {
		b.Fatal(err)
	}
}

func exec(s driver.Stmt, args []driver.NamedValue) error {
	_, err := s.(driver.StmtExecContext).ExecContext(context.Background(), args)
	return err
}
