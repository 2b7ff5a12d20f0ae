package sim_test

import (
	"math/big"

	"github.com/piccolo-counter/piccolo"
)

// checkStep holds what can be seen at any time against what must be.
func (w *world) checkStep() {
	for _, s := range w.slots {
		if s.producer == nil {
			continue
		}
		if keys := s.producer.in.Keys(); keys < 0 || keys > int64(w.maxKeys) {
			w.fail("%s keeps %d keys, of %d", s.producer.name, keys, w.maxKeys)
		}
	}
}

// checkCommitted holds what a writer tells of a commit against it.
func (w *world) checkCommitted(f *folder, c piccolo.Commit) {
	if c.Batches < c.Duplicates+c.Rejected {
		w.fail("%s tells of %+v", f.name, c)
	}
	f.increments += c.Increments
	if f.increments != f.expected {
		w.fail("%s has told of %d increments, and folded %d", f.name, f.increments, f.expected)
	}
}

// checkRest holds database and book against one another when all is done.
func (w *world) checkRest() {
	lost := false
	for _, b := range w.book.order {
		switch {
		case w.book.folded(b):
		case b.acked && !b.vanished:
			w.fail("%s of %d increments was stored, and is not in the database", b.id, b.increments)
		case b.acked:
			lost = true
		case !w.killed[b.id.Producer]:
			w.fail("%s of %d increments is not in the database", b.id, b.increments)
		}
	}
	sums := w.book.sums()
	for _, key := range w.keys {
		t, total := w.book.keys[key], w.db.total(key)
		if t.replaced {
			continue
		}
		if !t.unsure && sums[key].Cmp(total) != 0 {
			w.fail("key %q has a total of %v, and %v was counted and not lost", key, total, sums[key])
		}
		if low, high := t.bounds(t.stored); !lost && (total.Cmp(low) < 0 || total.Cmp(high) > 0) {
			w.fail("key %q has a total of %v, not between %v and %v", key, total, low, high)
		}
	}
	if w.ordered && !w.disturbed() && !lost {
		w.checkReplaced()
	}
	w.checkReported()
	for _, s := range w.slots {
		if keys := s.producer.in.Keys(); keys > int64(len(w.keys)) {
			w.fail("%s keeps %d keys, and there are %d", s.producer.name, keys, len(w.keys))
		}
	}
}

// sums adds up what was counted and not lost: each increment, and what came with
// an Idempotency-Key once, in whichever of its batches and in whatever order.
func (bk *book) sums() map[string]*big.Int {
	type counted struct {
		order     *order
		partition int
	}
	sums, once := make(map[string]*big.Int), make(map[counted]bool)
	for _, key := range bk.w.keys {
		sums[key] = new(big.Int)
	}
	add := func(effects map[string]*effect) {
		for key, e := range effects {
			sums[key].Add(sums[key], e.sum)
		}
	}
	for _, b := range bk.order {
		if !bk.folded(b) {
			continue
		}
		add(b.effects)
		for _, p := range b.onces {
			if at := (counted{p.order, p.partition}); !once[at] {
				once[at] = true
				add(p.effects)
			}
		}
	}
	return sums
}

// checkReported : what the stream lost is reported.
func (w *world) checkReported() {
	if why := w.writers[0].unreported(); why != "" {
		w.fail("%s", why)
	}
}
