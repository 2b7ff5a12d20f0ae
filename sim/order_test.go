package sim_test

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// order is what a client sends under one Idempotency-Key, again and again and
// to whichever ingress, whatever became of it before. Now and then one sends
// something else under the same key, by mistake.
type order struct {
	name     string
	variants [][]piccolo.Increment // the first is meant
	sent     [][]*change           // by variant; nil before it was sent
	promised piccolo.Ack           // the most that a client was told of the first
}

// part is what a request with an Idempotency-Key does in one partition, each time
// that it is sent to it.
type part struct {
	order      *order
	variant    int
	partition  int
	payload    uint64
	increments uint64
	effects    map[string]*effect
	conflict   bool // when it was folded, the key stood for something else
}

func (o *order) token() piccolo.Token { return piccolo.NewToken(o.name) }

// misused says whether the key was used for more than one thing.
func (o *order) misused() bool { return len(o.variants) > 1 }

// parts returns what a variant does in each partition.
func (o *order) parts(w *world, variant int) map[int]*part {
	parts := make(map[int]*part)
	var payload piccolo.Payload
	for _, i := range o.variants[variant] {
		payload.Add(i.Key, i.Value)
		n := piccolo.Partition(piccolo.Hash(i.Key), w.partitions)
		p := parts[n]
		if p == nil {
			p = &part{order: o, variant: variant, partition: n, effects: make(map[string]*effect)}
			parts[n] = p
		}
		p.increments++
		if p.effects[i.Key] == nil {
			p.effects[i.Key] = &effect{sum: new(big.Int)}
		}
		p.effects[i.Key].do(piccolo.OpAdd, i.Value)
	}
	for _, p := range parts {
		p.payload = payload.Sum()
	}
	return parts
}

// orderOne has a client send a request with an Idempotency-Key.
func (w *world) orderOne() bool {
	p := w.serving()
	if p == nil {
		return false
	}
	o := &order{name: fmt.Sprintf("order-%04d", len(w.orders))}
	o.add(w)
	w.orders = append(w.orders, o)
	w.send(p, o, 0)
	return true
}

// add thinks of something to send.
func (o *order) add(w *world) {
	var increments []piccolo.Increment
	for range 1 + w.rng.IntN(3) {
		increments = append(increments, piccolo.Increment{Key: pick(w, w.keys), Value: w.value()})
	}
	if len(o.variants) > 0 { // or it may be the same, and no mistake
		increments = append(increments, o.variants[0]...)
	}
	o.variants, o.sent = append(o.variants, increments), append(o.sent, nil)
}

// orderAgain has a client send one of the last requests again, or something else
// under its key.
func (w *world) orderAgain() bool {
	p := w.serving()
	n := len(w.orders)
	if p == nil || n == 0 {
		return false
	}
	o := w.orders[max(0, n-1-w.rng.IntN(12))]
	if w.chance(w.mistakes) && !o.misused() {
		o.add(w)
		for _, i := range o.variants[0] {
			w.book.keys[i.Key].unsure = true
		}
	}
	w.send(p, o, w.rng.IntN(len(o.variants)))
	return true
}

// send has a request sent to an ingress.
func (w *world) send(p *producer, o *order, variant int) {
	ack := pick(w, []piccolo.Ack{piccolo.AckMemory, piccolo.AckStored, piccolo.AckStored, piccolo.AckApplied})
	counted, err := w.orderer(p, o.name, o.variants[variant], ack)
	if err != nil {
		w.logf("%s refuses %s %v: %v", p.name, o.name, o.variants[variant], err)
		w.checkOrderRefusal(p, o, variant, err)
		return
	}
	if p.full {
		w.fail("%s takes %s although the stream is full", p.name, o.name)
	}
	carried := counted.Receipt()
	w.logf("%s takes %s %v in %s, to be %s, a repeat: %v", p.name, o.name, o.variants[variant], carried, ack, counted.Repeat())
	parts := o.parts(w, variant)
	if len(carried) != len(parts) {
		w.fail("%s has keys in %d partitions, and its receipt is %s", o.name, len(parts), carried)
	}
	first := o.sent[variant] == nil
	var changes []*change
	for _, id := range carried {
		part := parts[id.Partition]
		switch {
		case part == nil || id.Producer != p.name:
			w.fail("%s has the receipt %s of %s", o.name, carried, p.name)
			return
		case counted.Repeat():
			if !w.book.carries(id, part) {
				w.fail("%s is said to have been counted in %s", o.name, id)
			}
		default:
			w.book.countedOnce(id, part)
		}
		if first {
			for _, i := range o.variants[variant] {
				if piccolo.Partition(piccolo.Hash(i.Key), w.partitions) == id.Partition {
					changes = append(changes, &change{op: piccolo.OpAdd, value: i.Value, sent: w.stamp(), part: part})
					t := w.book.keys[i.Key]
					t.changes = append(t.changes, changes[len(changes)-1])
				}
			}
		}
	}
	if first {
		o.sent[variant] = changes
	}
	for _, i := range o.variants[variant] {
		t := w.book.keys[i.Key]
		if first || w.expires() && !counted.Repeat() {
			t.attempted.add(i.Value)
		}
		t.unsure = t.unsure || w.expires() || o.misused()
		w.receipts = append(w.receipts, receipt{i.Key, carried})
	}
	if ack == piccolo.AckMemory {
		return
	}
	w.await(p, counted.Wait, func(held piccolo.Ack) { w.orderReplied(p, o, variant, counted, ack, held) })
}

// carries says whether a batch has a part like p.
func (bk *book) carries(id piccolo.BatchID, p *part) bool {
	b := bk.batches[id]
	if b == nil {
		return false
	}
	for _, o := range b.onces {
		if o.order == p.order && o.variant == p.variant {
			return true
		}
	}
	return false
}

// orderReplied holds the reply to a request with an Idempotency-Key against what
// has become of it.
func (w *world) orderReplied(p *producer, o *order, variant int, counted ordering, asked, held piccolo.Ack) {
	receipt := counted.Receipt()
	w.logf("%s replies that %s in %s is %s", p.name, o.name, receipt, held)
	for _, id := range receipt {
		w.checkReply(w.book.batches[id], held, asked)
	}
	if held == piccolo.AckApplied && !w.restored {
		if want := w.book.conflicts(receipt, o, variant); counted.Conflicts() != want {
			w.fail("%s says that %s stands for something else in %d partitions, and it is %d", p.name, o.name, counted.Conflicts(), want)
		}
		for _, i := range o.variants[variant] {
			total, ok := counted.Total(i.Key)
			w.checkTotal(receipt, i.Key, total, ok)
		}
	}
	if held < piccolo.AckStored || o.misused() {
		return
	}
	for _, c := range o.sent[variant] {
		if c.told == 0 {
			c.told = w.stamp()
		}
	}
	for _, i := range o.variants[variant] {
		t := w.book.keys[i.Key]
		if o.promised < piccolo.AckStored {
			t.stored.add(i.Value)
		}
		if o.promised < piccolo.AckApplied && held == piccolo.AckApplied {
			t.applied.add(i.Value)
		}
	}
	o.promised = max(o.promised, held)
}

// conflicts counts the batches in which a key stood for something else.
func (bk *book) conflicts(receipt piccolo.Receipt, o *order, variant int) (n int) {
	for _, id := range receipt {
		for _, p := range bk.batches[id].onces {
			if p.order == o && p.variant == variant && p.conflict {
				n++
				break
			}
		}
	}
	return n
}

// checkOrderRefusal : a refusal has a reason.
func (w *world) checkOrderRefusal(p *producer, o *order, variant int, err error) {
	deltas, fits := 0, true
	for _, part := range o.parts(w, variant) {
		deltas += int(part.increments)
		fits = fits && piccolo.MaxOnceSize(make([]piccolo.Delta, part.increments))+int(part.increments)*keyBytes <= w.maxMessage-piccolo.MaxHeaderSize
	}
	switch {
	case errors.Is(err, ingress.ErrConflict) && o.misused():
	case errors.Is(err, ingress.ErrNoMessage) && !fits:
	case errors.Is(err, piccolo.ErrBusy) && p.in.Keys()+int64(deltas) > int64(w.maxKeys):
	case errors.Is(err, piccolo.ErrBusy), errors.Is(err, ingress.ErrConflict), errors.Is(err, ingress.ErrNoMessage):
		w.fail("%s refuses %s without reason: %v", p.name, o.name, err)
	default:
		w.checkRefusal(p, err)
	}
}

// expires says whether tokens may expire in this world.
func (w *world) expires() bool { return w.tokenTTL < lasting }

// ordering is a request with an Idempotency-Key that an ingress has taken.
type ordering interface {
	Wait() piccolo.Ack
	Repeat() bool
	Receipt() piccolo.Receipt
	Conflicts() int
	Total(key string) (int64, bool)
}

// orderer is how an ingress is asked to take one.
type orderer func(p *producer, name string, increments []piccolo.Increment, ack piccolo.Ack) (ordering, error)

func takeOrder(p *producer, name string, increments []piccolo.Increment, ack piccolo.Ack) (ordering, error) {
	return p.in.CountOnce([]byte(name), increments, ack)
}
