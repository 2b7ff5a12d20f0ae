package ingress

import (
	"slices"
	"sync"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// onceStripe is to requests with an Idempotency-Key what stripes are to keys:
// who holds its lock may put a once into a batch that has not been sealed.
type onceStripe struct {
	mu      sync.Mutex
	counted uint64 // increments, ever
}

// addOnce puts a once, which a batch has room for and the budget has been taken
// for, into the batch that it returns. With total, somebody waits for its commit.
func (r *reducer) addOnce(o piccolo.Once, total bool) *pending {
	r.once.mu.Lock()
	defer r.once.mu.Unlock()
	p := r.room(int64(piccolo.MaxOnceSize(o.Deltas)))
	if total {
		p.wantTotal.Store(true) // before it can be sealed, or the notice would be missed
	}
	p.onces = append(p.onces, o)
	r.once.counted += o.Increments
	return p
}

// sealOnces reads the onces of p into b, as seal does its deltas.
func (r *reducer) sealOnces(p *pending, b *piccolo.Batch) {
	r.once.mu.Lock()
	defer r.once.mu.Unlock()
	b.Onces, p.onces = p.onces, nil
	for i := range b.Onces {
		b.Increments += b.Onces[i].Increments
		r.budget.used.Add(-int64(len(b.Onces[i].Deltas)))
	}
}

// CountedOnce is a request with an Idempotency-Key that has been counted here,
// or is a repeat of one that was.
type CountedOnce struct {
	in       *Ingress
	ack      piccolo.Ack
	claim    piccolo.Claim
	carriers []carrier
	batches  []*pending // the same; none of a repeat
	counts   []int      // of its increments in each of the batches
}

// joined are the batches that carry c, which is nil where it was not counted.
func (c *CountedOnce) joined() []*pending {
	if c == nil {
		return nil
	}
	return c.batches
}

// carrier is as much of a batch as a repeat needs to know.
type carrier struct {
	id     piccolo.BatchID
	stored chan struct{}
}

// CountOnce counts increments under an Idempotency-Key, all or none, if the key
// has not been counted; the reply is to wait for ack. After an error nothing has
// been counted. HTTP's handlers take the body apart by themselves where it has
// many; the simulation, which speaks no HTTP, counts with this.
func (in *Ingress) CountOnce(idempotency []byte, increments []piccolo.Increment, ack piccolo.Ack) (*CountedOnce, error) {
	parts := newParts(idempotency)
	for _, i := range increments {
		key := []byte(i.Key)
		parts.add(in.Partitions, key, piccolo.Hash(key), i.Value, ack == piccolo.AckApplied)
	}
	return in.countOnce(parts, ack)
}

// countOnce counts the parts of a request with an Idempotency-Key, all or none,
// if the key has not been counted. Whether it has the writer decides, in
// the transaction of the numbers; what this ingress remembers it decides at
// once: ErrConflict where the key stands for other increments.
//
// With a total asked for, a repeat is sent to the writer, who tells it.
func (in *Ingress) countOnce(parts *parts, ack piccolo.Ack) (*CountedOnce, error) {
	claim := parts.claim()
	if err := in.refuse.Load(); err != nil {
		return nil, *err
	}
	in.counting.RLock()
	defer in.counting.RUnlock()
	if in.closed {
		return nil, piccolo.ErrStopping
	}
	in.recent.mu.Lock()
	defer in.recent.mu.Unlock()
	if first := in.recent.find(claim.Token); first != nil {
		if first.payload != claim.Payload {
			return nil, ErrConflict
		}
		if ack != piccolo.AckApplied {
			return &CountedOnce{in: in, ack: ack, claim: claim, carriers: first.carriers}, nil
		}
	}
	deltas := 0
	for partition, o := range parts.byPartition {
		if int64(piccolo.MaxOnceSize(o.Deltas)) > in.reducers[partition].limit {
			return nil, ErrNoMessage
		}
		deltas += len(o.Deltas)
	}
	if !in.keys.takeAll(int64(deltas)) {
		for _, r := range in.reducers {
			r.sweep(true)
		}
		if !in.keys.takeAll(int64(deltas)) {
			return nil, piccolo.ErrBusy
		}
	}
	c := &CountedOnce{in: in, ack: ack, claim: claim}
	for partition, r := range in.reducers { // a receipt names partitions in order
		o := parts.byPartition[partition]
		if o == nil {
			continue
		}
		p := r.addOnce(*o, ack == piccolo.AckApplied)
		c.batches = append(c.batches, p)
		c.counts = append(c.counts, int(o.Increments))
		c.carriers = append(c.carriers, carrier{p.id, p.stored})
	}
	in.recent.keep(claim, c.carriers)
	return c, nil
}

// Wait waits for the ack that was asked for and returns the one that holds, as
// for any increment.
func (c *CountedOnce) Wait() piccolo.Ack {
	if len(c.batches) > 0 || c.ack == piccolo.AckMemory {
		return c.in.await(c.ack, c.batches...)
	}
	patience := c.in.patience.ends()
	for _, b := range c.carriers {
		select {
		case <-b.stored:
		case <-patience:
			return piccolo.AckMemory
		}
	}
	return piccolo.AckStored
}

// Conflicts says in how many of its batches, which have been applied, the key
// stood for something else.
func (c *CountedOnce) Conflicts() int {
	batches, _ := c.skipped()
	return batches
}

// skipped says which part of the request was not counted, since the key stood for
// something else there. All of its batches have been applied.
func (c *CountedOnce) skipped() (batches, increments int) {
	for i, p := range c.batches {
		if slices.Contains(p.conflicts, c.claim) {
			batches++
			increments += c.counts[i]
		}
	}
	return batches, increments
}

// Total is a key's total after the commit, where that has been waited for.
func (c *CountedOnce) Total(key string) (total int64, ok bool) {
	for _, p := range c.batches {
		if total, ok = p.totals[key]; ok {
			break
		}
	}
	return total, ok
}

// Repeat says that the request has been counted here before, and that nothing
// was sent for it.
func (c *CountedOnce) Repeat() bool { return len(c.batches) == 0 }

// Receipt names the batches that carry it, or carried it first.
func (c *CountedOnce) Receipt() (receipt piccolo.Receipt) {
	for _, b := range c.carriers {
		receipt = append(receipt, b.id)
	}
	return receipt
}

// recent remembers the requests with an Idempotency-Key that were counted here
// last. It spares repeats the way to the writer, and tells at once of a key that
// is used twice for different things; nothing rests on it.
type recent struct {
	mu         sync.Mutex
	young, old map[piccolo.Token]remembered
}

type remembered struct {
	payload  uint64
	carriers []carrier
	at       time.Time
}

// fresh says whether a request is still remembered: for a minute, and until it is
// stored. That is never longer than its key is known to the writer, who alone
// decides when it is new again.
func (m *remembered) fresh() bool {
	return time.Since(m.at) < piccolo.MinTokenTTL || slices.ContainsFunc(m.carriers, func(c carrier) bool {
		select {
		case <-c.stored:
			return false
		default:
			return true
		}
	})
}

// generation is how many requests are remembered at least.
const generation = 16 << 10

func (r *recent) find(token piccolo.Token) *remembered {
	for _, g := range []map[piccolo.Token]remembered{r.young, r.old} {
		if m, ok := g[token]; ok && m.fresh() {
			return &m
		}
	}
	return nil
}

func (r *recent) keep(claim piccolo.Claim, carriers []carrier) {
	if r.young == nil || len(r.young) >= generation {
		r.old, r.young = r.young, make(map[piccolo.Token]remembered)
	}
	r.young[claim.Token] = remembered{claim.Payload, carriers, time.Now()}
}

// forget drops what the writer says a token does not stand for: it was counted
// elsewhere before.
func (r *recent) forget(claims []piccolo.Claim) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range claims {
		for _, g := range []map[piccolo.Token]remembered{r.young, r.old} {
			if m, ok := g[c.Token]; ok && m.payload == c.Payload {
				delete(g, c.Token)
			}
		}
	}
}
