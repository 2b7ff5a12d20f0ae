package ingress

import (
	"math"
	"slices"

	"github.com/piccolo-counter/piccolo"
)

// countAll counts all increments of b or none, and returns the batches that
// carry them: one of each partition that they are in, or more where a batch was
// sealed meanwhile, was full, or has had a delta of a key for longer. With total, the
// writer hurries with them.
//
// What could keep an increment from being counted is ruled out beforehand. The
// stream is looked at once. A stop waits for whoever is counting. And the
// budget is reserved: an increment takes one of it at most, for its key or for
// another delta of its key.
func (in *Ingress) countAll(b *bulk, ack piccolo.Ack) (batches []*pending, err error) {
	if err := in.refuse.Load(); err != nil {
		return nil, *err
	}
	in.counting.RLock()
	defer in.counting.RUnlock()
	if in.closed {
		return nil, piccolo.ErrStopping
	}
	slices.Sort(b.touched) // a receipt names partitions in order, and locks have one
	hurry := ack == piccolo.AckApplied
	if from, ok := in.keys.reserve(int64(b.count)); ok {
		defer from.close()
		for _, lot := range b.touched {
			s := in.stripe(lot)
			s.mu.Lock()
			batches = in.reduceLot(batches, b, lot, &from, hurry)
			s.mu.Unlock()
		}
		return batches, nil
	}
	if batches, ok := in.countLocked(b, hurry); ok {
		return batches, nil
	}
	for _, r := range in.reducers {
		r.sweep(true)
	}
	if batches, ok := in.countLocked(b, hurry); ok {
		return batches, nil
	}
	return nil, piccolo.ErrBusy
}

// countLocked counts b where less of the budget is left than b has increments:
// there may be room all the same, since keys that are known take none. How much
// it takes is certain only while nobody else counts these keys.
func (in *Ingress) countLocked(b *bulk, hurry bool) (batches []*pending, ok bool) {
	for _, lot := range b.touched {
		in.stripe(lot).mu.Lock()
	}
	defer func() {
		for _, lot := range b.touched {
			in.stripe(lot).mu.Unlock()
		}
	}()
	from, ok := in.makeRoom(b)
	if !ok {
		return nil, false
	}
	defer from.close()
	for _, lot := range b.touched {
		batches = in.reduceLot(batches, b, lot, &from, hurry)
	}
	return batches, true
}

// stripe is the one that a lot of a bulk goes to.
func (in *Ingress) stripe(lot int) *stripe {
	return &in.reducers[lot/stripes].stripes[lot%stripes]
}

// ahead is how many items are looked up together.
const ahead = 16

// reduceLot adds a lot to the deltas of its stripe, whose lock is held, and the
// batches that these are in to batches. The purse has enough.
//
// With many keys, what costs is waiting for memory. So some items are looked up
// together, without waiting for one before the next, and by the time their turn
// comes their entries are there.
func (in *Ingress) reduceLot(batches []*pending, b *bulk, lot int, from *purse, hurry bool) []*pending {
	r, s := in.reducers[lot/stripes], in.stripe(lot)
	var last *pending
	var carried uint64 // items that last carries
	for items := range slices.Chunk(b.lots[lot], ahead) {
		var guesses [ahead]*entry
		for i := range items {
			guesses[i] = s.entries.guess(items[i].hash)
		}
		for _, e := range guesses[:len(items)] {
			if e != nil {
				s.warm += e.delta // or nothing would be fetched
			}
		}
		for i := range items {
			item, e, ok := &items[i], guesses[i], true
			key := b.key(item)
			if e != nil && !e.left && e.key == string(key) {
				e, ok = r.reduceTo(e, item.hash, item.value, from)
			} else {
				e, ok = r.reduce(item.hash, key, item.value, from)
			}
			if !ok {
				panic("the budget that was reserved is used up") // or a part of the request would count
			}
			if e.batch == last {
				carried++
				continue
			}
			if last != nil {
				last.lots[lot%stripes].increments += carried
			}
			last, carried = e.batch, 1
			if !slices.Contains(batches, last) {
				batches = append(batches, last)
				if hurry {
					e.wantTotal() // of one key: that is enough
				}
			}
		}
	}
	last.lots[lot%stripes].increments += carried
	s.counted += uint64(len(b.lots[lot]))
	return batches
}

// makeRoom makes an entry for every key of b that has none, and reserves what
// the deltas may take besides. All stripes of b are locked. Where the budget has
// not enough, keys that have no delta are forgotten again.
func (in *Ingress) makeRoom(b *bulk) (from purse, ok bool) {
	from.budget = in.keys
	var highest uint64 // |delta| of the keys of b
	ok = true
	for _, lot := range b.touched {
		for i := range b.lots[lot] {
			var e *entry
			if e, ok = in.stripe(lot).find(b.lots[lot][i].hash, b.key(&b.lots[lot][i]), &from); !ok {
				in.forget(b)
				return from, false
			}
			highest = max(highest, magnitude(e.delta))
		}
	}
	if plus(highest, b.magnitude) <= math.MaxInt64 {
		return from, true
	}
	if from, ok = in.keys.reserve(int64(b.count)); !ok { // each may need another delta
		in.forget(b)
	}
	return from, ok
}

// forget gives up the entries that have no delta, in all stripes of b. These are
// locked.
func (in *Ingress) forget(b *bulk) {
	for _, lot := range b.touched {
		forgotten := in.stripe(lot).entries.keep(func(e *entry) bool { return e.batch != nil })
		in.keys.used.Add(-int64(forgotten))
	}
}
