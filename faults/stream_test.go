package faults_test

import (
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// connect connects to the service's NATS server, as any other program may.
func (s *service) connect() (*nats.Conn, jetstream.JetStream) {
	s.t.Helper()
	nc, err := nats.Connect("nats://" + s.nats)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return nc, js
}

// busy has clients count for a moment, and returns when it is all in the
// database.
func (s *service) busy(b *book, increments int) {
	s.t.Helper()
	l := s.load(b, 4, "stored", "applied", "memory")
	l.await(s, counted, increments)
	l.stop()
	s.quietIn(b)
}

// quietIn waits until the database has what the book has, with messages left
// in the stream or without.
func (s *service) quietIn(b *book) {
	s.t.Helper()
	b.settled()
	sure, _, _ := b.totals()
	s.until("the database has every increment", func() bool { return s.contents().increments >= sure })
	b.check(s.t, s.contents())
}

// rewound checks that the service noticed, so many times, that the stream is
// not what it was, and said so.
func (s *service) rewound(want float64) {
	s.t.Helper()
	if n := s.metric("piccolo_stream_rewinds_total"); n != want {
		s.t.Errorf("piccolo_stream_rewinds_total is %v, want %v", n, want)
	}
	if said := s.logged("stream and database do not fit"); said != (want > 0) {
		s.t.Errorf("logged that stream and database do not fit: %v", said)
	}
}

// The stream's files are gone, or older than the database: the service
// notices, counts nothing a second time, and goes on.
func TestStreamReplacedBetweenRuns(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(s *service, older string) error{
		"gone": func(s *service, _ string) error { return nil },
		"older": func(s *service, older string) error {
			return os.CopyFS(s.jetstream(), os.DirFS(older))
		},
	} {
		for _, retain := range []string{"0s", "1h"} {
			t.Run(name+" with --retain="+retain, func(t *testing.T) {
				t.Parallel()
				s := newService(t, "--retain="+retain)
				b := newBook()
				f := measure(t, 6, "stream "+map[string]string{"gone": "made anew", "older": "rolled back"}[name]+", between two runs")
				s.start()
				s.busy(b, 50)
				s.stop()
				older := t.TempDir()
				if err := os.CopyFS(older, os.DirFS(s.jetstream())); err != nil {
					t.Fatal(err)
				}
				s.start()
				s.busy(b, 100)
				s.rewound(0)
				s.stop()

				if err := os.RemoveAll(s.jetstream()); err != nil {
					t.Fatal(err)
				}
				if err := replace(s, older); err != nil {
					t.Fatal(err)
				}
				since := time.Now()
				s.start()
				f.Times++
				f.back(s, b, since)
				s.rewound(1)
				s.busy(b, 50)
				s.rewound(1)
				s.stop()
				s.start()
				s.busy(b, 20)
				if n := s.metric("piccolo_stream_rewinds_total"); n != 0 {
					t.Errorf("the start after it read the stream again, %v times", n)
				}
				s.stop()
				f.check(b, s.contents())
			})
		}
	}
}

// Somebody deletes the stream of a running service, while it holds nothing
// that is not in the database: the service makes it again and goes on.
func TestStreamDeleted(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newBook()
	f := measure(t, 6, "stream deleted, all of it folded")
	s.start()
	_, js := s.connect()
	for range 2 {
		s.busy(b, 50)
		s.quiet()
		f.Times++
		if err := js.DeleteStream(t.Context(), "PICCOLO"); err != nil {
			t.Fatal(err)
		}
		f.back(s, b, time.Now())
	}
	s.busy(b, 50)
	s.quiet()
	s.rewound(2)
	s.stop()
	f.check(b, s.contents())
}

// Somebody deletes the stream while the writer is behind. What the writer had
// fetched counts, which may be all of it; the rest is gone with the stream and
// reported, to the batch, as TestStreamDamagedUnderLoad has it where the writer is
// away. Nothing counts twice, and the service goes on.
func TestStreamDeletedWithBacklog(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newBook()
	s.start()
	s.busy(b, 50)
	_, js := s.connect()
	unlock := s.lock()
	l := s.load(b, 2, "memory")
	l.await(s, counted, 500)
	l.stop()
	if s.holds(js) < 1 {
		t.Error("there is no backlog: the test proves nothing")
	}
	if err := js.DeleteStream(t.Context(), "PICCOLO"); err != nil {
		t.Fatal(err)
	}
	f := measure(t, 6, "stream deleted, with what 202 was said to")
	f.Times++
	b.crashed() // as good as
	since := time.Now()
	unlock()
	f.back(s, b, since)
	l = s.load(b, 4, "stored", "applied")
	l.await(s, counted, 100)
	l.stop()
	s.quiet()
	missing := float64(s.missing())
	s.until("the loss is reported", func() bool { return s.metric("piccolo_lost_batches_total") >= missing })
	if reported := s.metric("piccolo_lost_batches_total"); reported != missing {
		t.Errorf("%v batches are reported as lost, and %v are", reported, missing)
	}
	s.stop()
	db := s.contents()
	db.gaps = nil // they are what is missing
	b.settled()
	f.check(b, db)
}

// Somebody deletes the writer's consumer under load: nothing is lost, and the
// service goes on.
func TestConsumerDeleted(t *testing.T) {
	t.Parallel()
	s := newService(t, "--partitions=2")
	b := newBook()
	s.start()
	_, js := s.connect()
	f := measure(t, 6, "consumer deleted under load, all in one")
	l := s.load(b, 4, "stored", "applied")
	for _, consumer := range []string{"writer-0", "writer-1", "writer-0"} {
		l.await(s, counted, 50)
		if err := js.DeleteConsumer(t.Context(), "PICCOLO", consumer); err != nil {
			t.Fatal(err)
		}
		s.until("there is a new "+consumer, func() bool {
			_, err := js.Consumer(t.Context(), "PICCOLO", consumer)
			return err == nil
		})
		f.Times++
	}
	l.await(s, counted, 50)
	l.stop()
	s.quiet()
	b.settled()
	b.check(t, s.contents())
	s.stop()
	f.check(b, s.contents())
}
