package faults_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/faults"
)

// beyond is the row of what is no row of the matrix.
const beyond = 13

// figures are kept while a fault is made, and reported when its test ends.
type figures struct {
	faults.Figures
	t testing.TB
}

// measure begins to keep figures of a fault, which belongs to a row of the
// matrix. by names the variable that says how often it is made, if there is one.
func measure(t testing.TB, row int, fault string, by ...string) *figures {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	f := &figures{t: t, Figures: faults.Figures{Row: row, Fault: fault, Test: test}}
	for _, name := range by {
		if value, ok := os.LookupEnv(name); ok {
			f.With = name + "=" + value
		}
	}
	t.Cleanup(f.report)
	return f
}

func (f *figures) report() {
	if f.t.Skipped() {
		return
	}
	f.Failed = f.t.Failed()
	slices.Sort(f.Away)
	line := fmt.Sprintf("row %d, %s: %d times, %d acknowledged, %d lost, %d doubled", f.Row, f.Fault, f.Times, f.Acknowledged, f.Lost, f.Doubled)
	if n := len(f.Away); n > 0 {
		line += fmt.Sprintf(", away for p50 %.3f s, at most %.3f s", f.Away[n/2], f.Away[n-1])
	}
	f.t.Log(line)
	path, ok := os.LookupEnv("PICCOLO_FIGURES")
	if !ok {
		return
	}
	text, err := json.Marshal(f.Figures)
	if err != nil {
		f.t.Fatal(err)
	}
	// A line in one write, so that processes may share the file.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err == nil {
		_, err = file.Write(append(text, '\n'))
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		f.t.Errorf("PICCOLO_FIGURES: %v", err)
	}
}

// back has a client go on until it is told that an increment is in the database,
// which ends the time for which the service was away; the start of a process is
// part of that.
func (f *figures) back(s *service, b *book, since time.Time) {
	s.t.Helper()
	c := newClient(s, b)
	defer c.http.CloseIdleConnections()
	s.until("an increment is in the database again", func() bool {
		_, held := c.ask(fmt.Sprintf("back-%d", rand.IntN(1_000_000)), anyValue(), "applied")
		return held == "applied"
	})
	f.Away = append(f.Away, time.Since(since).Seconds())
}

// part counts what has been acknowledged since the last part of the book, for
// tests in which one fault follows another.
func (f *figures) part(b *book) {
	sure, _, _ := b.totals()
	f.Acknowledged += sure - b.parted
	b.parted = sure
}

// settle compares the database with the book. It says what came of the fault,
// and not whether that is right: the tests do.
func (f *figures) settle(b *book, db *contents) {
	f.part(b)
	lost, doubled, wrong := b.compare(db)
	f.Lost, f.Doubled, f.Wrong = f.Lost+lost, f.Doubled+doubled, f.Wrong+wrong
	_, maybe, _ := b.totals()
	f.Unanswered += maybe
}

// check is settle where nothing may be lost.
func (f *figures) check(b *book, db *contents) {
	f.t.Helper()
	f.settle(b, db)
	b.check(f.t, db)
}
