package sim_test

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/piccolo-counter/piccolo"
)

// network is what is on its way between the service and the server.
type network struct {
	requests []*publish
	pubAcks  []pubAck
	acks     []ack
	notices  []piccolo.Applied
}

// publish is a request to store a message. It may outlive the call that made
// it, and then arrive late.
type publish struct {
	p    *producer
	id   piccolo.BatchID
	msg  piccolo.Message
	call *call
}

type pubAck struct {
	call *call
	err  error
}

type ack struct {
	partition int
	seq       uint64
}

// publisher is the stream as an ingress sees it.
type publisher struct {
	w *world
	p *producer
}

// Publish sends m and waits for the PubAck.
func (p publisher) Publish(ctx context.Context, m *piccolo.Message) error {
	r := &publish{p: p.p, id: m.ID, msg: *m}
	r.msg.Data = bytes.Clone(m.Data)
	r.call = &call{
		label:   label{what: "publish", a: uint64(m.ID.Partition), b: m.ID.Seq, text: m.ID.Producer},
		process: &p.p.process, publish: r,
	}
	return p.w.ask(ctx, r.call).err
}

var (
	errNobody = errors.New("nobody serves the subject")
	errBroken = errors.New("the server says no")
)

// notePublish takes note of a request. Invariant: one batch is in flight per
// producer and partition.
func (w *world) notePublish(r *publish) {
	w.logf("%s publishes %s, %d increments", r.p.name, r.id, r.msg.Increments)
	for _, c := range w.calls {
		if c != r.call && !c.gone && !r.call.gone && c.publish != nil && c.publish.id.Origin() == r.id.Origin() {
			w.fail("%s is published while %s is on its way", r.id, c.publish.id)
		}
	}
	w.book.published(&r.msg)
	w.net.requests = append(w.net.requests, r)
}

// arrive has a request reach the server, where it is stored or refused, and
// sends the answer.
func (w *world) arrive(r *publish) {
	again := w.chance(w.duplicateRequest)
	if !again {
		w.net.requests = slices.DeleteFunc(w.net.requests, func(o *publish) bool { return o == r })
	}
	switch {
	case !w.stream.takes() || w.chance(w.dropRequest):
		w.logf("request %s is lost", r.id)
		return
	case !w.stream.exists():
		w.sendPubAck(r, errNobody)
		return
	case w.chance(w.refuse):
		w.sendPubAck(r, errBroken)
		return
	}
	seq, duplicate, err := w.stream.store(r.id, r.msg.Data)
	switch {
	case err != nil:
		w.logf("%s is refused: %v", r.id, err)
	case duplicate:
		w.logf("%s is a duplicate of %d", r.id, seq)
	default:
		w.logf("%s is stored as %d", r.id, seq)
	}
	w.sendPubAck(r, err)
}

func (w *world) sendPubAck(r *publish, err error) {
	switch a := (pubAck{r.call, err}); {
	case w.chance(w.dropPubAck):
		w.logf("the PubAck of %s is lost", r.id)
	case w.chance(w.delayPubAck):
		w.net.pubAcks = append(w.net.pubAcks, a)
	default:
		w.deliverPubAck(a)
	}
}

// deliverPubAck answers the call, if it still waits.
func (w *world) deliverPubAck(a pubAck) {
	if a.call.gone || !slices.Contains(w.calls, a.call) {
		return
	}
	w.logf("%s to %s: %v", a.call.publish.id, a.call.process.name, a.err)
	switch p := a.call.publish.p; {
	case a.err == nil:
		w.book.acked(a.call.publish.id)
		p.full = false
	case errors.Is(a.err, piccolo.ErrFull):
		p.full = true
	}
	w.reply(a.call, answer{err: a.err})
}

// reply answers a call.
func (w *world) reply(c *call, a answer) {
	w.calls = slices.DeleteFunc(w.calls, func(o *call) bool { return o == c })
	c.reply <- a
}

// take removes and returns one of s.
func take[T any](w *world, s *[]T) T {
	i := w.rng.IntN(len(*s))
	v := (*s)[i]
	*s = slices.Delete(*s, i, i+1)
	return v
}

// arriveOne has a request arrive.
func (w *world) arriveOne() bool {
	if len(w.net.requests) == 0 {
		return false
	}
	w.arrive(pick(w, w.net.requests))
	return true
}

// pubAckOne has a delayed PubAck arrive.
func (w *world) pubAckOne() bool {
	if len(w.net.pubAcks) == 0 {
		return false
	}
	w.deliverPubAck(take(w, &w.net.pubAcks))
	return true
}

// ackOne has an ack arrive, or lost.
func (w *world) ackOne() bool {
	if len(w.net.acks) == 0 {
		return false
	}
	a := take(w, &w.net.acks)
	c := w.stream.consumers[a.partition]
	switch {
	case w.stream.away || !w.stream.exists() || c == nil || w.chance(w.dropAck):
		w.logf("the ack of %d is lost", a.seq)
	default:
		w.logf("%d is acked", a.seq)
		c.ack(a.seq)
	}
	return true
}

// noticeOne has an applied notice arrive at its producer, or lost.
func (w *world) noticeOne() bool {
	if len(w.net.notices) == 0 {
		return false
	}
	a := take(w, &w.net.notices)
	for _, s := range w.slots {
		if p := s.producer; p != nil && !p.dead && p.name == a.Producer && !w.chance(w.dropNotice) {
			w.logf("%s hears that %v of partition %d are applied", a.Producer, a.Seqs, a.Partition)
			p.in.Applied(a)
			return true
		}
	}
	w.logf("the notice to %s is lost", a.Producer)
	return true
}
