package sim_test

import (
	"slices"
	"time"
)

// What goes wrong with the server, beyond what the network loses.

// deliverOne has a message delivered to a writer, or lost on the way, in which
// case it comes again.
func (w *world) deliverOne() bool {
	if w.stream.away || !w.stream.exists() {
		return false
	}
	var open []*subscription
	for _, f := range w.writers {
		for _, s := range f.subscriptions {
			if s.takes() {
				open = append(open, s)
			}
		}
	}
	if len(open) == 0 {
		return false
	}
	s := pick(w, open)
	c := w.stream.consumers[s.partition]
	if c == nil {
		return false
	}
	m := c.take(w.rng.IntN)
	if m == nil {
		return false
	}
	c.delivered++
	switch {
	case w.chance(w.dropDelivery):
		w.logf("%s, number %d, is lost on the way to %s", m.id, m.seq, s.f.name)
	case w.ordered && c.delivered != s.last+1: // as the bus has it
		w.logf("%s misses a delivery before %s, number %d", s.f.name, m.id, m.seq)
		s.fail()
	default:
		s.last++
		s.deliver(m)
	}
	return true
}

// redeliver has the server lose patience with all that was not acked.
func (w *world) redeliver() bool {
	done := false
	for _, c := range w.stream.consumers {
		if c != nil && len(c.unacked) > 0 {
			c.expire()
			done = true
		}
	}
	if done {
		w.logf("what was not acked is due again")
	}
	return done
}

func (c *consumer) expire() {
	for i := range c.unacked {
		c.unacked[i].again = time.Now()
	}
}

// goAway has the server not answer for a while, or answer again.
func (w *world) goAway() bool {
	w.stream.away = !w.stream.away
	w.logf("the server is away: %v", w.stream.away)
	return true
}

// fill makes the stream full, or gives it room again.
func (w *world) fill() bool {
	w.stream.full = !w.stream.full
	w.logf("the stream is full: %v", w.stream.full)
	return true
}

// forget has the server forget which ids it has stored of late.
func (w *world) forget() bool {
	clear(w.stream.ids)
	w.logf("the server forgets its message ids")
	return true
}

// remember keeps what a consumer is like, to be what the server finds when it
// starts again.
func (w *world) remember() bool {
	for n, c := range w.stream.consumers {
		if c != nil {
			w.stream.remembered[n] = c.clone()
		}
	}
	return true
}

// crash has the server start again with consumers that are not what they were
// last, because acks are not durable, and with those message ids that it finds
// in the stream.
func (w *world) crash() bool {
	if !w.stream.exists() {
		return false
	}
	w.logf("the server starts again")
	w.stream.restart()
	return true
}

// restart has the server start again. What a writer has asked it and it has
// not done, it will not do; what is to be published may come late. Messages from
// before are not acked after.
func (s *stream) restart() {
	s.w.net.requests = slices.DeleteFunc(s.w.net.requests, func(*publish) bool { return s.w.chance(0.5) })
	s.w.net.acks = nil
	s.starts++
	for _, c := range slices.Clone(s.w.calls) {
		if c.writer != nil && c.writer.kind != askCommit {
			s.w.refuseCall(c, errBroken)
		}
	}
	for _, f := range s.w.writers {
		for _, sub := range f.subscriptions {
			sub.fail() // as the bus has it
		}
	}
	clear(s.ids)
	for _, m := range s.messages {
		s.ids[m.id] = m.seq
	}
	for n, c := range s.consumers {
		if r := s.remembered[n]; c != nil && r != nil {
			c = r.clone()
			s.consumers[n], s.remembered[n] = c, nil
		}
		if c != nil {
			c.forget(func(u unacked) bool { return s.message(u.seq) == nil })
			c.next = max(c.next, s.first)
			c.expire()
		}
	}
}

// rollBack has the server start again without the last messages. Their numbers
// are used again.
func (w *world) rollBack() bool {
	s := w.stream
	if !s.exists() || len(s.messages) == 0 {
		return false
	}
	keep := len(s.messages) - 1 - w.rng.IntN(min(len(s.messages), 4))
	lost := s.messages[keep:]
	s.messages = slices.Clip(s.messages[:keep])
	s.last = lost[0].seq - 1
	w.upset = true
	// A database from before that would take the numbers that are used again for
	// those that it has folded. Nothing tells them apart.
	w.backup = nil
	for _, m := range lost {
		w.logf("the stream loses %s, number %d", m.id, m.seq)
		w.book.vanished(m)
	}
	s.settleFirst()
	s.restart()
	for n, c := range s.consumers {
		if c != nil && !w.stuckConsumers {
			c.reconcile()
		}
		s.unseen[n] = c != nil && w.stuckConsumers
	}
	return true
}

// reconcile brings a consumer back into a stream that ends before it, as
// servers of late do.
func (c *consumer) reconcile() {
	last := c.s.last
	if c.next <= last+1 {
		return
	}
	floor := min(c.floor(), last)
	c.forget(func(u unacked) bool { return u.seq > last })
	c.next = floor + 1
	if n := len(c.unacked); n > 0 {
		c.next = c.unacked[n-1].seq + 1
	}
}

// remove has the stream deleted.
func (w *world) remove() bool {
	s := w.stream
	if !s.exists() {
		return false
	}
	w.logf("the stream is deleted")
	w.upset = true
	for _, p := range w.db.positions {
		w.mustRewind = w.mustRewind || p.Created.Equal(s.created)
	}
	for _, m := range s.messages {
		w.book.vanished(m)
	}
	s.created, s.messages, s.consumers = time.Time{}, nil, make([]*consumer, w.partitions)
	for _, f := range w.writers {
		for _, sub := range f.subscriptions {
			if w.chance(0.5) {
				w.logf("%s is told so", f.name)
				sub.fail()
			}
		}
	}
	return true
}

// remake has somebody make the stream again.
func (w *world) remake() bool {
	if w.stream.exists() {
		return false
	}
	w.logf("the stream is made anew")
	w.stream.create()
	return true
}
