package faults_test

import (
	"database/sql"
	"net/url"
	"testing"

	_ "modernc.org/sqlite" // the driver
)

// contents is what a database holds, read with plain SQL as anyone may.
type contents struct {
	numbers    map[string]int64
	increments int      // that the ledger accounts for, without repeats under a token
	gaps       []string // producers of which later batches were folded than others

	quarantined int // values that are kept beside the numbers

	held     int64 // sum of numbers and quarantine, modulo 2^64
	folded   int64 // sum of the ledger, modulo 2^64
	rejected int
	broken   string // what SQLite's own check found
}

// contents reads the database, whether the service runs or not.
func (s *service) contents() *contents {
	s.t.Helper()
	db := openReader(s.t, s.database)
	defer db.Close()
	tx, err := db.Begin() // one snapshot for all of it
	if err != nil {
		s.t.Fatalf("read %s: %v", s.database, err)
	}
	defer tx.Rollback()
	c := &contents{numbers: make(map[string]int64)}
	each(s.t, tx, "SELECT key, value FROM numbers", func(scan func(...any)) {
		var key string
		var value int64
		scan(&key, &value)
		c.numbers[key] = value
		c.held += value
	})
	each(s.t, tx, "SELECT value FROM quarantine", func(scan func(...any)) {
		var value int64
		scan(&value)
		c.held += value
		c.quarantined++
	})
	each(s.t, tx, "SELECT producer, above, increments - skipped, sum FROM ledger", func(scan func(...any)) {
		var producer, above string
		var increments int
		var sum int64
		scan(&producer, &above, &increments, &sum)
		c.increments += increments
		c.folded += sum
		if above != "" {
			c.gaps = append(c.gaps, producer+": "+above)
		}
	})
	each(s.t, tx, "SELECT count(*) FROM rejected", func(scan func(...any)) { scan(&c.rejected) })
	each(s.t, tx, "PRAGMA integrity_check", func(scan func(...any)) { scan(&c.broken) })
	return c
}

// position is the number of the last message in the stream that partition 0 has
// folded.
func (s *service) position() (seq uint64) {
	s.t.Helper()
	db := openReader(s.t, s.database)
	defer db.Close()
	s.must(db.QueryRow(`SELECT stream_seq FROM positions WHERE "partition" = 0`).Scan(&seq))
	return seq
}

// check checks what must hold of any database once the service is quiet.
func (c *contents) check(t testing.TB) {
	t.Helper()
	if c.held != c.folded {
		t.Errorf("numbers and quarantine sum up to %d, want %d, which the ledger says was folded", c.held, c.folded)
	}
	for _, gap := range c.gaps {
		t.Errorf("the ledger misses batches below others: %s", gap)
	}
	if c.rejected > 0 {
		t.Errorf("%d messages were rejected", c.rejected)
	}
	if c.broken != "ok" {
		t.Errorf("integrity check: %s", c.broken)
	}
}

// openReader opens a database the way a stranger would who only reads.
func openReader(t testing.TB, path string) *sql.DB {
	t.Helper()
	return openDatabase(t, path, "mode=ro&_pragma=busy_timeout(10000)&_pragma=query_only(1)")
}

func openDatabase(t testing.TB, path, options string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: options}).String())
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// each calls row for every row of a query.
func each(t testing.TB, tx *sql.Tx, query string, row func(scan func(...any))) {
	t.Helper()
	rows, err := tx.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		row(func(dst ...any) {
			if err := rows.Scan(dst...); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		})
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
