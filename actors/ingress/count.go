package ingress

import (
	"github.com/piccolo-counter/piccolo"
)

// Counted is an increment that has been counted, and the batch that carries
// it.
type Counted struct {
	in    *Ingress
	batch *pending
	ack   piccolo.Ack
}

// Count counts one increment, whose reply is to wait for ack. After an error
// nothing has been counted. key may be reused by the caller.
func (in *Ingress) Count(key []byte, value int64, ack piccolo.Ack) (Counted, error) {
	// Whether it can be counted is decided before it is: a reply that is not
	// 2xx counted nothing.
	if err := in.refuse.Load(); err != nil {
		return Counted{}, *err
	}
	hash := piccolo.Hash(key)
	r := in.reducers[piccolo.Partition(hash, len(in.reducers))]
	batch, err := r.add(hash, key, value, ack == piccolo.AckApplied)
	return Counted{in, batch, ack}, err
}

// Batch names the batch. A reply does by its receipt; the simulation asks for it.
func (c Counted) Batch() piccolo.BatchID { return c.batch.id }

// Wait waits for the ack that was asked for and returns the one that holds:
// less, when the ack timeout passes first. The increment counts all the same.
func (c Counted) Wait() piccolo.Ack { return c.in.await(c.ack, c.batch) }

// Total is the key's total after the commit, where that has been waited for.
func (c Counted) Total(key []byte) (total int64, ok bool) {
	total, ok = c.batch.totals[string(key)]
	return total, ok
}
