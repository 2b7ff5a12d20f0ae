package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
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
	n := kills(t)
	// So many keys that few of each go without an answer: the book is then exact.
	key := func() string { return fmt.Sprintf("key-%d", rand.IntN(10*n)) }
	l := s.loadKeys(b, 8, key, "stored", "applied", "stored", "stored")
	for range n {
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

// The process stands still for longer than a publish waits for its
// acknowledgement, as on a machine that was suspended, and goes on: a batch that
// is published again then counts once.
func TestFreeze(t *testing.T) {
	t.Parallel()
	s := newService(t, "--partitions=2")
	b := newBook()
	l := s.load(b, 4, "stored", "applied")
	s.start()
	for range 2 {
		l.await(s, counted, 100)
		s.freeze()
		time.Sleep(2500 * time.Millisecond)
		s.signal(syscall.SIGCONT)
	}
	l.await(s, counted, 100)
	l.stop()
	s.quiet()
	b.settled()
	b.check(t, s.contents())
	s.undisturbed()
	s.stop()
}
