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
	unfolded := make(map[string]*big.Int)
	for _, key := range w.keys {
		unfolded[key] = new(big.Int)
	}
	lost := false
	for _, b := range w.book.order {
		switch {
		case b.folded:
			continue
		case b.acked && !b.vanished:
			w.fail("%s of %d increments was stored, and is not in the database", b.id, b.increments)
		case b.acked:
			lost = true
		case !w.killed[b.id.Producer]:
			w.fail("%s of %d increments is not in the database", b.id, b.increments)
		}
		for key, sum := range b.sums {
			unfolded[key].Add(unfolded[key], sum)
		}
	}
	for _, key := range w.keys {
		t := w.book.keys[key]
		total := w.db.total(key)
		sum := new(big.Int).Add(t.attempted.plus, t.attempted.minus)
		if sum.Sub(sum, unfolded[key]).Cmp(total) != 0 {
			w.fail("key %q has a total of %v, and %v was counted and not lost", key, total, sum)
		}
		if low, high := t.bounds(t.stored); !lost && (total.Cmp(low) < 0 || total.Cmp(high) > 0) {
			w.fail("key %q has a total of %v, not between %v and %v", key, total, low, high)
		}
	}
	w.checkReported()
	for _, s := range w.slots {
		if keys := s.producer.in.Keys(); keys > int64(len(w.keys)) {
			w.fail("%s keeps %d keys, and there are %d", s.producer.name, keys, len(w.keys))
		}
	}
}

// checkReported : what the stream lost is noticed, and reported.
func (w *world) checkReported() {
	var missing uint64
	for n := range w.partitions {
		missing += w.db.missing(n)
	}
	if f := w.writers[0]; f.lost != missing {
		w.fail("%s has reported %d batches lost, and %d are", f.name, f.lost, missing)
	}
	if w.mustRewind && w.rewound == 0 {
		w.fail("the stream was made anew, and nobody noticed")
	}
}
