package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The writer is held up until the stream is full: what is refused then was not
// counted, what is acknowledged was, and once the writer can go on the service
// does so by itself.
func TestFullStream(t *testing.T) {
	t.Parallel()
	s := newService(t, "--stream-max-bytes=64KiB", "--ack-timeout=200ms")
	b := newBook()
	f := measure(t, 7, "stream at MaxBytes")
	l := s.load(b, 6, "stored", "memory")
	s.start()
	for range 2 {
		l.await(s, counted, 50)
		unlock := s.lock()
		l.await(s, refused, 20)
		if s.ready() {
			t.Error("the service says that it is ready while it refuses increments")
		}
		f.Times++
		freed := time.Now()
		unlock()
		f.back(s, b, freed)
	}
	l.await(s, counted, 50)
	l.stop()
	s.quiet()
	b.settled()
	b.check(t, s.contents())
	s.undisturbed()
	s.stop()
	f.check(b, s.contents())
}

// Increments for more bytes of keys than the stream may hold come before the
// first flush: a batch is never so large that it fits no stream, not even an
// empty one.
func TestBatchFitsTheStream(t *testing.T) {
	t.Parallel()
	s := newService(t, "--stream-max-bytes=64KiB", "--flush-interval=1h", "--freshness=1h")
	b := newBook()
	s.start()
	c := newClient(s, b)
	for i := range 400 {
		key := fmt.Sprintf("%s-%d", strings.Repeat("k", 500), i)
		s.until("there is room", func() bool { return c.send(key, anyValue(), "memory") == counted })
	}
	s.until("the rest is flushed", func() bool { return c.send("the last", anyValue(), "stored") == counted })
	s.quiet()
	b.settled()
	b.check(t, s.contents())
	s.stop()
}

// The memory for keys is full: new ones are refused, known ones still count,
// and after the next flush there is room again.
func TestFullBuffer(t *testing.T) {
	t.Parallel()
	const room = 20
	s := newService(t, fmt.Sprintf("--max-keys=%d", room), "--flush-interval=1h", "--freshness=1h")
	b := newBook()
	f := measure(t, 7, "memory for keys full")
	f.Times++
	s.start()
	c := newClient(s, b)
	send := func(key, ack string, want outcome) {
		t.Helper()
		if got := c.send(key, anyValue(), ack); got != want {
			t.Fatalf("key %s: outcome %d, want %d", key, got, want)
		}
	}
	for i := range room {
		send(fmt.Sprintf("key-%d", i), "memory", counted)
	}
	send("one-too-many", "memory", refused)
	send("one-too-many", "applied", refused)
	send("key-0", "memory", counted)
	send("key-1", "applied", counted) // has it all flushed
	send("one-too-many", "applied", counted)
	s.quiet()
	b.settled()
	f.check(b, s.contents())
	s.stop()
}
