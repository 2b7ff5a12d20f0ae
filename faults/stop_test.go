package faults_test

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// A stop in order loses nothing: whatever was acknowledged is in the database
// when the process has exited, what was acknowledged from memory too, and
// everything that was counted was acknowledged.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, "--partitions=2")
			b := newBook()
			f := measure(t, 12, name+" under load")
			l := s.load(b, 16, "memory", "stored", "applied")
			for range 2 {
				since := time.Now()
				s.start()
				if f.Times++; f.Times > 1 {
					f.back(s, b, since)
				}
				l.await(s, counted, 200)
				s.signal(signal)
				if code := s.wait(); code != 0 {
					t.Errorf("exit code %d (%v), want 0", code, s.now.err)
				}
			}
			l.stop()
			b.settled()
			db := s.contents()
			f.check(b, db)
			if sure, _, _ := b.totals(); db.increments != sure {
				t.Errorf("%d increments were counted, and %d acknowledged", db.increments, sure)
			}
			// What the stream still holds would be folded now.
			s.start()
			s.quiet()
			if n := s.metric("piccolo_folded_batches_total"); n != 0 {
				t.Errorf("the stop left %v batches in the stream", n)
			}
			s.undisturbed()
			s.stop()
		})
	}
}

// The service is asked to stop over and over under load, at any moment, also
// while it starts, and sometimes twice at once, which ends it where it stands:
// every reply is true.
func TestStopStorm(t *testing.T) {
	t.Parallel()
	s := newService(t, "--partitions=2")
	b := newBook()
	n := kills(t)
	f := measure(t, 12, "SIGTERM storm under load", "PICCOLO_KILLS")
	l := s.loadKeys(b, 8, manyKeys(n), "memory", "stored", "applied")
	orderly := 0
	for i := range n {
		f.Times++
		if s.launch(); i%4 > 0 {
			s.until("the service is ready", func() bool { return s.ready() || s.now.gone() })
		}
		anyMoment()
		s.signal(syscall.SIGTERM)
		if i%3 == 2 {
			_ = s.now.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
		}
		if s.wait() == 0 {
			orderly++
			b.settled()
		} else {
			b.crashed()
		}
	}
	since := time.Now()
	s.start()
	f.back(s, b, since)
	l.await(s, counted, 50)
	l.stop()
	s.quiet()
	b.crashed() // a process that was ended may have given any of the last replies
	f.check(b, s.contents())
	s.undisturbed()
	s.stop()
	t.Logf("%d stops, %d of them in order", n, orderly)
}

// The service has to stop while the stream takes nothing: every request in
// flight is answered, however long it was to wait, and what was counted and
// not stored is in the spool for the next start.
func TestStopWithFullStream(t *testing.T) {
	t.Parallel()
	s := newService(t, "--stream-max-bytes=64KiB", "--ack-timeout=1h", "--stop-timeout=5s")
	b := newBook()
	waiting, l := s.load(b, 4, "stored"), s.load(b, 2, "memory")
	s.start()
	l.await(s, counted, 20)
	unlock := s.lock()
	l.await(s, refused, 20)
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 1 {
		t.Errorf("exit code %d (%v) with batches that are not in the database, want 1", code, s.now.err)
	}
	if len(s.spooled()) == 0 {
		t.Error("the spool is empty")
	}
	waiting.stop()
	l.stop()
	b.settled()
	unlock()
	f := measure(t, 12, "SIGTERM while the stream is full")
	f.Times++
	since := time.Now()
	s.start()
	f.back(s, b, since)
	b.settled()
	s.quiet()
	s.undisturbed()
	s.stop()
	db := s.contents()
	f.check(b, db)
	if sure, _, _ := b.totals(); db.increments != sure {
		t.Errorf("%d increments were counted, and %d acknowledged", db.increments, sure)
	}
}

// Clients that have connected and say nothing, as many do in advance, are not
// waited for.
func TestStopWithSilentClients(t *testing.T) {
	t.Parallel()
	s := newService(t, "--stop-timeout=5s")
	s.start()
	for range 3 {
		c, err := net.Dial("tcp", s.api)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	b := newBook()
	s.busy(b, 20)
	s.stop()
	if s.logged("connections were still busy") {
		t.Error("the stop waited for connections that no request came on")
	}
	b.check(t, s.contents())
}
