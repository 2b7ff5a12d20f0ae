package sim_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// Streams that are broken, as an ingress sees them, and ingresses and queries
// that are, as their clients do.

// otherPublish does something else with a message than publish it. again says
// that it has been published before.
type otherPublish struct {
	publisher
	seen map[piccolo.BatchID]bool
	do   func(ctx context.Context, m piccolo.Message, again bool) error
}

func newOtherPublish(p publisher, do func(context.Context, piccolo.Message, bool) error) otherPublish {
	return otherPublish{p, make(map[piccolo.BatchID]bool), do}
}

func (p otherPublish) Publish(ctx context.Context, m *piccolo.Message) error {
	p.w.mu.Lock()
	again := p.seen[m.ID]
	p.seen[m.ID] = true
	p.w.mu.Unlock()
	return p.do(ctx, *m, again)
}

func letsIncrementsJoin(p publisher) ingress.Publisher {
	return newOtherPublish(p, func(ctx context.Context, m piccolo.Message, again bool) error {
		var b piccolo.Batch
		if again && piccolo.DecodeBatch(m.Data, &b) == nil {
			b.Increments++
			b.Deltas = append(b.Deltas, piccolo.Delta{Key: "key0", Value: 1})
			m.Data = piccolo.AppendBatch(nil, &b)
		}
		return p.Publish(ctx, &m)
	})
}

func publishesUnderAnotherID(p publisher) ingress.Publisher {
	return newOtherPublish(p, func(ctx context.Context, m piccolo.Message, again bool) error {
		var b piccolo.Batch
		if again && piccolo.DecodeBatch(m.Data, &b) == nil {
			b.Seq++
			m.ID, m.Data = b.BatchID, piccolo.AppendBatch(nil, &b)
		}
		return p.Publish(ctx, &m)
	})
}

func takesTimeoutForAck(p publisher) ingress.Publisher {
	return newOtherPublish(p, func(ctx context.Context, m piccolo.Message, _ bool) error {
		err := p.Publish(ctx, &m)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		return err
	})
}

func takesRefusalForAck(p publisher) ingress.Publisher {
	return newOtherPublish(p, func(ctx context.Context, m piccolo.Message, _ bool) error {
		err := p.Publish(ctx, &m)
		if errors.Is(err, piccolo.ErrFull) {
			err = nil
		}
		return err
	})
}

func publishesTwiceAtOnce(p publisher) ingress.Publisher {
	return newOtherPublish(p, func(ctx context.Context, m piccolo.Message, _ bool) error {
		go func() { _ = p.Publish(ctx, &m) }()
		return p.Publish(ctx, &m)
	})
}

func losesSome(p publisher) ingress.Publisher {
	return newOtherPublish(p, func(ctx context.Context, m piccolo.Message, _ bool) error {
		if m.ID.Seq%10 == 0 {
			return nil
		}
		return p.Publish(ctx, &m)
	})
}

// refusesWhatItCounted refuses what it counted for a reason that there is.
func refusesWhatItCounted(p *producer, key string, value int64, ack piccolo.Ack) (counting, error) {
	c, err := count(p, key, value, ack)
	if err == nil && p.in.Keys() >= int64(p.slot.w.maxKeys) {
		err = piccolo.ErrBusy
	}
	return c, err
}

func countsTwice(p *producer, key string, value int64, ack piccolo.Ack) (counting, error) {
	if c, err := count(p, key, value, ack); err != nil {
		return c, err
	}
	return count(p, key, value, ack)
}

type unpatient struct {
	ingress.Counted
	ack piccolo.Ack
}

func (c unpatient) Wait() piccolo.Ack { return c.ack }

func repliesAtOnce(p *producer, key string, value int64, ack piccolo.Ack) (counting, error) {
	c, err := p.in.Count([]byte(key), value, ack)
	return unpatient{c, ack}, err
}

func answersWithoutWaiting(ctx context.Context, f *folder, q piccolo.Query) (piccolo.Answer, error) {
	q.After = ""
	return ask(ctx, f, q)
}

// takesTriesForRequests takes each try of a request for another one.
func takesTriesForRequests(p *producer, name string, increments []piccolo.Increment, ack piccolo.Ack) (ordering, error) {
	p.slot.w.processes++
	return takeOrder(p, fmt.Sprint(name, p.slot.w.processes), increments, ack)
}

type hasty struct {
	*ingress.CountedOnce
	ack piccolo.Ack
}

func (c hasty) Wait() piccolo.Ack { return min(c.ack, piccolo.AckStored) }

func saysAtOnce(p *producer, name string, increments []piccolo.Increment, ack piccolo.Ack) (ordering, error) {
	c, err := p.in.CountOnce([]byte(name), increments, ack)
	return hasty{c, ack}, err
}

type indulgent struct{ *ingress.CountedOnce }

func (indulgent) Conflicts() int { return 0 }

func saysNothingOfConflicts(p *producer, name string, increments []piccolo.Increment, ack piccolo.Ack) (ordering, error) {
	c, err := p.in.CountOnce([]byte(name), increments, ack)
	return indulgent{c}, err
}

func addsWhatIsSet(p *producer, key string, d piccolo.Delta, ack piccolo.Ack) (counting, error) {
	if d.Op == piccolo.OpSet {
		return count(p, key, d.Value, ack)
	}
	return replaceKey(p, key, d, ack)
}

// keepsWhatIsRemoved sets what is to be removed to 0.
func keepsWhatIsRemoved(p *producer, key string, d piccolo.Delta, ack piccolo.Ack) (counting, error) {
	d.Op = piccolo.OpSet
	return replaceKey(p, key, d, ack)
}
