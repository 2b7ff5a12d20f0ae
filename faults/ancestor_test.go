package faults_test

import (
	"os"
	"testing"
	"time"
)

// The database is the one that the service's ancestor left: it is taken over
// as it is, and counting goes on from its values.
func TestAncestorsDatabase(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newBook()
	f := measure(t, 9, "the ancestor's database, taken over")
	if err := os.MkdirAll(s.data, 0o755); err != nil {
		t.Fatal(err)
	}
	old := openDatabase(t, s.database, "")
	for _, q := range []string{
		"CREATE TABLE numbers(key TEXT, value INTEGER DEFAULT 0)",
		"CREATE UNIQUE INDEX numbers_key ON numbers(key)",
		"INSERT INTO numbers VALUES ('key-0', 1000000), ('key-1', -7), ('only-there', 42)",
		"INSERT INTO numbers(key) VALUES ('key-2')",
	} {
		if _, err := old.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	// The ledger takes each of its numbers for an increment.
	for key, value := range map[string]int64{"key-0": 1000000, "key-1": -7, "key-2": 0, "only-there": 42} {
		b.enter(key, func(a *account) { a.sure, a.count = value, 1 })
	}

	since := time.Now()
	s.start()
	f.Times++
	f.back(s, b, since)
	l := s.load(b, 4, "stored", "applied", "memory")
	l.await(s, counted, 300)
	l.stop()
	s.stop()
	b.settled()
	f.check(b, s.contents())
}
