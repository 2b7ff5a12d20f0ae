package faults_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// kills is how often the service is killed, PICCOLO_KILLS or a few.
func kills(t *testing.T) int {
	text, ok := os.LookupEnv("PICCOLO_KILLS")
	if !ok {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PICCOLO_KILLS=%s: want a number above 0", text)
	}
	return n
}

// The service is killed at random moments under load, over and over on one
// data directory: every increment that was acknowledged counts, once.
func TestKill(t *testing.T) {
	t.Parallel()
	s := newService(t, "--partitions=3")
	b := newBook()
	l := s.load(b, 8, "stored", "applied", "stored", "stored")
	for range kills(t) {
		s.start()
		l.await(s, counted, 1)
		time.Sleep(time.Duration(rand.Int64N(int64(600 * time.Millisecond)))) // any moment will do
		s.kill()
		b.crashed()
	}
	s.start()
	l.await(s, counted, 50)
	l.stop()
	s.quiet()
	b.crashed()
	b.check(t, s.contents())
	s.undisturbed()
	s.stop()
	b.check(t, s.contents())
}
