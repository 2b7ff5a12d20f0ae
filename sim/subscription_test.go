package sim_test

import (
	"bytes"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// subscription is a writer's to a partition. Its goroutine hands over one
// message at a time.
type subscription struct {
	f         *folder
	partition int
	handed    chan piccolo.Delivery
	busy      bool // the last message has not been taken yet
	closed    bool
	failed    func(error)
	last      uint64 // the number of the last delivery
}

func (f *folder) subscribe(partition int, deliver func(piccolo.Delivery), failed func(error)) *subscription {
	s := &subscription{f: f, partition: partition, handed: make(chan piccolo.Delivery, 1), failed: failed}
	f.subscriptions = append(f.subscriptions, s)
	go func() {
		for d := range s.handed {
			deliver(d)
			f.w.mu.Lock()
			s.busy = false
			f.w.mu.Unlock()
		}
	}()
	return s
}

// takes says whether a message may be delivered now.
func (s *subscription) takes() bool { return !s.closed && !s.busy && s.f.takes() }

// deliver hands a message over.
func (s *subscription) deliver(m *message) {
	w := s.f.w
	w.logf("%s gets %s, number %d", s.f.name, m.id, m.seq)
	s.busy = true
	s.f.took(m)
	s.handed <- piccolo.Delivery{
		Partition: s.partition,
		StreamSeq: m.seq,
		Created:   w.stream.created,
		Stored:    m.stored,
		JSON:      m.json,
		Data:      bytes.Clone(m.data),
		Acker:     acker{s.f, s.partition, m, w.stream.starts, w.stream.created},
	}
}

// stop is what the writer calls.
func (s *subscription) stop() {
	s.f.w.mu.Lock()
	defer s.f.w.mu.Unlock()
	s.close()
}

func (s *subscription) close() {
	if !s.closed {
		s.closed = true
		close(s.handed)
	}
}

// fail ends the subscription from the server's side, and says so.
func (s *subscription) fail() {
	if !s.closed {
		s.close()
		s.failed(errNobody)
	}
}

// acker acks a message.
type acker struct {
	f         *folder
	partition int
	m         *message
	start     int       // of the server, after which it came
	created   time.Time // the stream that it is in
}

// Ack sends the ack. Invariant: what it names has been committed.
func (a acker) Ack() error {
	w := a.f.w
	w.mu.Lock()
	defer w.mu.Unlock()
	a.f.exist()
	a.f.burn(w)
	if a.start != w.stream.starts || a.created != a.f.stream {
		return errBroken // as the bus does
	}
	w.tell(&a.f.process, "ack", uint64(a.partition), a.m.seq, a.m.id.Producer, func() {
		if !w.db.kept(a.m) {
			w.fail("%s acked %s, which is not committed", a.f.name, a.m.id)
		}
		w.net.acks = append(w.net.acks, ack{a.partition, a.m.seq})
	})
	return nil
}
