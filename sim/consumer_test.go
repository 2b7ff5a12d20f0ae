package sim_test

import (
	"slices"
	"time"
)

// ackWait is after how long the server delivers again what was not acked.
const ackWait = 30 * time.Second

// consumer is the server's durable consumer of a partition, with explicit
// acks: new messages in order, and again, in any order, what was delivered and
// not acked.
type consumer struct {
	s         *stream
	partition int
	next      uint64    // the StreamSeq from which on nothing has been delivered
	unacked   []unacked // by StreamSeq
	delivered uint64    // how often anything has been
}

type unacked struct {
	seq   uint64
	again time.Time // when it is to be delivered again
}

// newConsumer delivers all that the stream holds. The acks that its writer has
// sent before it made the consumer have come before, on the same connection.
func (s *stream) newConsumer(partition int) *consumer {
	c := &consumer{s: s, partition: partition, next: s.first}
	s.w.net.acks = slices.DeleteFunc(s.w.net.acks, func(a ack) bool { return a.partition == partition })
	s.consumers[partition], s.remembered[partition], s.unseen[partition] = c, nil, false
	return c
}

// floor is the StreamSeq up to which all is acked. It passes what belongs to
// other partitions.
func (c *consumer) floor() uint64 {
	if len(c.unacked) > 0 {
		return c.unacked[0].seq - 1
	}
	return c.next - 1
}

// take returns what is to be delivered now, chosen by pick from what is to be
// delivered again and one new message, or nil. It counts as delivered.
func (c *consumer) take(pick func(n int) int) *message {
	now := time.Now()
	var ready []*message
	for _, u := range c.unacked {
		if m := c.s.message(u.seq); m != nil && !u.again.After(now) {
			ready = append(ready, m)
		}
	}
	if m := c.s.next(c.partition, c.next); m != nil {
		ready = append(ready, m)
	} else {
		c.next = max(c.next, c.s.last+1)
	}
	if len(ready) == 0 {
		return nil
	}
	m := ready[pick(len(ready))]
	if m.seq >= c.next {
		c.next = m.seq + 1
	}
	c.forget(func(u unacked) bool { return u.seq == m.seq })
	c.unacked = append(c.unacked, unacked{m.seq, now.Add(ackWait)})
	slices.SortFunc(c.unacked, func(a, b unacked) int { return int(a.seq) - int(b.seq) })
	return m
}

func (c *consumer) forget(which func(unacked) bool) {
	c.unacked = slices.DeleteFunc(c.unacked, which)
}

// ack takes an ack. It names a message by its StreamSeq and nothing else.
func (c *consumer) ack(seq uint64) {
	c.forget(func(u unacked) bool { return u.seq == seq })
}

// reset has everything above the ack floor delivered again. The server writes
// that down before it says so.
func (c *consumer) reset() {
	c.next, c.unacked = c.floor()+1, nil
	c.s.remembered[c.partition] = nil
}

// trimmed forgets what is no longer there.
func (c *consumer) trimmed(upto uint64) {
	c.next = max(c.next, upto+1)
	c.forget(func(u unacked) bool { return u.seq <= upto })
}

// clone is c at this moment, to go back to.
func (c *consumer) clone() *consumer {
	d := *c
	d.unacked = slices.Clone(c.unacked)
	return &d
}
