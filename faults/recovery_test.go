package faults_test

import (
	"slices"
	"testing"
	"time"
)

// recoveries are how long a service was away after each of many faults: until
// an increment was in the database again, the start of the process included.
type recoveries []time.Duration

// wait has the service's clients go on until one is told that its increment is
// in the database.
func (r *recoveries) wait(s *service, c *client, key func() string, since time.Time) {
	s.t.Helper()
	s.until("an increment is in the database again", func() bool {
		_, held := c.ask(key(), anyValue(), "applied")
		return held == "applied"
	})
	*r = append(*r, time.Since(since))
}

// report logs what came of it.
func (r recoveries) report(t testing.TB, of string) {
	if len(r) == 0 {
		return
	}
	slices.Sort(r)
	round := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	t.Logf("%s: %d times, away for p50 %s, at most %s", of, len(r), round(r[len(r)/2]), round(r[len(r)-1]))
}
