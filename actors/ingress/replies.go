package ingress

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Replies counts the replies of an ingress: increments by the ack that held,
// everything else by status.
type Replies struct {
	acks     [3]atomic.Uint64
	statuses [600]atomic.Uint64
	times    piccolo.SpreadCounter // of increments, from the request read to the reply made
}

func (r *Replies) count(status int) { r.statuses[status%600].Add(1) }

// begun returns when a request began, for one in eight, and the zero time for
// the others: a look at the clock, twice, costs as much as all the rest of
// counting an increment.
func (r *Replies) begun() time.Time {
	if rand.Uint32()%timedOf != 0 {
		return time.Time{}
	}
	return time.Now()
}

const timedOf = 8

// acked counts the reply to a request that began at begun.
func (r *Replies) acked(ack piccolo.Ack, begun time.Time) {
	r.acks[ack].Add(1)
	if !begun.IsZero() {
		r.times.Observe(time.Since(begun))
	}
}

// Times returns how long replies to increments took, of one in eight.
func (r *Replies) Times() piccolo.Spread { return r.times.Read() }

// usual are the statuses that are told of before there was one: whoever looks at
// how much a count grows would miss the first.
var usual = []int{400, 503}

// Each calls f for every kind of reply that is usual, and every other there was:
// of an increment with the ack that held, of a refusal with an empty ack.
func (r *Replies) Each(f func(status int, ack string, n uint64)) {
	for ack := range r.acks {
		f(status(piccolo.Ack(ack)), piccolo.Ack(ack).String(), r.acks[ack].Load())
	}
	for status := range r.statuses {
		if n := r.statuses[status].Load(); n > 0 || slices.Contains(usual, status) {
			f(status, "", n)
		}
	}
}

// Replies returns the counts of the ingress.
func (in *Ingress) Replies() *Replies { return &in.replies }

// Published tells, by partition, how many increments this process accepted, and
// how many of them are in the stream.
func (in *Ingress) Published() (all []piccolo.Published) {
	for _, f := range in.flushers {
		all = append(all, f.account())
	}
	return all
}

// Keys is how many distinct keys the ingress keeps in memory.
func (in *Ingress) Keys() int64 { return in.keys.used.Load() }
