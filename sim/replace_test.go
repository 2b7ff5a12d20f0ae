package sim_test

import (
	"math/big"
	"slices"

	"github.com/piccolo-counter/piccolo"
)

// replaceOne has a client set a key, or remove it.
func (w *world) replaceOne() bool {
	p := w.serving()
	if p == nil {
		return false
	}
	key, d := pick(w, w.keys), piccolo.Delta{Op: piccolo.OpSet, Value: w.value()}
	if w.chance(0.3) {
		d = piccolo.Delta{Op: piccolo.OpRemove}
	}
	ack := pick(w, []piccolo.Ack{piccolo.AckStored, piccolo.AckApplied})
	counted, err := w.replacer(p, key, d, ack)
	if err != nil {
		w.logf("%s refuses to replace %s: %v", p.name, key, err)
		w.checkRefusal(p, err)
		return true
	}
	if p.full {
		w.fail("%s replaces %s although the stream is full", p.name, key)
	}
	id := counted.Batch()
	w.logf("%s replaces %s by %d, op %d, in %s, to be %s", p.name, key, d.Value, d.Op, id, ack)
	w.book.replaced(id, key, d.Op, d.Value)
	w.sent(p, key, counted, &change{op: d.Op, value: d.Value, sent: w.stamp(), id: id}, ack)
	return true
}

// replacer is how an ingress is asked to set or remove a key.
type replacer func(p *producer, key string, d piccolo.Delta, ack piccolo.Ack) (counting, error)

func replaceKey(p *producer, key string, d piccolo.Delta, ack piccolo.Ack) (counting, error) {
	return p.in.Set([]byte(key), d, ack)
}

// checkReplaced holds the totals of keys that were set or removed against what
// clients can tell of the order, by when they sent and when they had a reply: a
// set overwrites what they knew to be stored before, and what they sent when
// they knew the set to be stored counts on top.
func (w *world) checkReplaced() {
	for _, key := range w.keys {
		t := w.book.keys[key]
		if !t.replaced || t.unsure {
			continue
		}
		total := w.db.total(key)
		_, there := w.db.numbers[key]
		done := slices.DeleteFunc(slices.Clone(t.changes), func(c *change) bool { return !w.book.done(c) })
		if !slices.ContainsFunc(t.last(done), func(last *change) bool { return last.explains(done, total, there) }) {
			w.fail("key %q has a total of %v, is there: %v, which no order explains that its clients may have seen", key, total, there)
		}
	}
}

// done says whether what a client did is in the database.
func (bk *book) done(c *change) bool {
	if c.part == nil {
		return bk.model.folded[c.id] != 0
	}
	for _, b := range bk.order {
		if bk.folded(b) && slices.ContainsFunc(b.onces, func(p *part) bool { return p.order == c.part.order && b.id.Partition == c.part.partition }) {
			return true
		}
	}
	return false
}

// last returns the sets, or removals, that may be the last of their key. One
// that is in no batch stands for none.
func (t *tally) last(done []*change) (last []*change) {
	for _, c := range done {
		if c.op == piccolo.OpAdd {
			continue
		}
		surpassed := slices.ContainsFunc(done, func(o *change) bool { return o.op != piccolo.OpAdd && c.before(o) })
		if !surpassed {
			last = append(last, c)
		}
	}
	if len(last) == 0 {
		last = []*change{{op: piccolo.OpRemove, told: 1}} // before anything was sent
	}
	return last
}

// before says whether c was known to be stored when o was sent.
func (c *change) before(o *change) bool { return c.told != 0 && c.told < o.sent }

// explains says whether total can be, with c as the last of its sets.
func (c *change) explains(done []*change, total *big.Int, there bool) bool {
	low, high := big.NewInt(c.value), big.NewInt(c.value)
	certain, possible := false, false // that something was added on top
	for _, a := range done {
		if a.op != piccolo.OpAdd || a.before(c) {
			continue
		}
		value := big.NewInt(a.value)
		possible = true
		switch {
		case c.before(a):
			certain = true
			low.Add(low, value)
			high.Add(high, value)
		case a.value < 0:
			low.Add(low, value)
		default:
			high.Add(high, value)
		}
	}
	if there && c.op == piccolo.OpRemove && !possible || !there && (c.op != piccolo.OpRemove || certain) {
		return false
	}
	return total.Cmp(low) >= 0 && total.Cmp(high) <= 0
}
