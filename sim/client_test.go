package sim_test

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// count has a client, or a few at the same moment, count an increment.
func (w *world) count() bool {
	p := w.serving()
	if p == nil {
		return false
	}
	w.countOne(p)
	for range w.rng.IntN(w.burst) {
		w.settle()
		if p.slot.producer == p {
			w.countOne(p)
		}
	}
	return true
}

// serving returns an ingress that may be asked to count, or nil.
func (w *world) serving() *producer {
	s := pick(w, w.slots)
	return s.producer
}

func (w *world) countOne(p *producer) {
	key, value := pick(w, w.keys), w.value()
	ack := pick(w, []piccolo.Ack{piccolo.AckMemory, piccolo.AckStored, piccolo.AckStored, piccolo.AckApplied})
	counted, err := w.counter(p, key, value, ack)
	if err != nil {
		w.logf("%s refuses %s %+d: %v", p.name, key, value, err)
		w.checkRefusal(p, err)
		return
	}
	if p.full {
		w.fail("%s counts an increment although the stream is full", p.name)
	}
	id := counted.Batch()
	w.logf("%s counts %s %+d in %s, to be %s", p.name, key, value, id, ack)
	w.book.counted(id, key, value)
	w.sent(p, key, counted, &change{op: piccolo.OpAdd, value: value, sent: w.stamp(), id: id}, ack)
}

// sent has a client wait for the reply to what it has done to a key, and hold it
// against what has become of that.
func (w *world) sent(p *producer, key string, counted counting, c *change, ack piccolo.Ack) {
	t, carried := w.book.keys[key], piccolo.Receipt{c.id}
	t.changes = append(t.changes, c)
	w.receipts = append(w.receipts, receipt{key, carried})
	if ack == piccolo.AckMemory {
		return
	}
	w.await(p, counted.Wait, func(held piccolo.Ack) {
		w.logf("%s replies that %s, op %d, %+d is %s", p.name, key, c.op, c.value, held)
		w.checkReply(w.book.batches[c.id], held, ack)
		if held >= piccolo.AckStored {
			c.told = w.stamp()
		}
		if c.op == piccolo.OpAdd {
			t.replied(held, c.value)
		}
		if total, ok := counted.Total([]byte(key)); held == piccolo.AckApplied {
			w.checkTotal(carried, key, total, ok)
		}
	})
}

// stamp numbers what clients see, in the order in which they do.
func (w *world) stamp() int {
	w.stamps++
	return w.stamps
}

// counting is an increment that an ingress has counted.
type counting interface {
	Batch() piccolo.BatchID
	Wait() piccolo.Ack
	Total(key []byte) (int64, bool)
}

// counter is how an ingress is asked to count.
type counter func(p *producer, key string, value int64, ack piccolo.Ack) (counting, error)

func count(p *producer, key string, value int64, ack piccolo.Ack) (counting, error) {
	return p.in.Count([]byte(key), value, ack)
}

// asker is how a writer is asked for a value.
type asker func(ctx context.Context, f *folder, q piccolo.Query) (piccolo.Answer, error)

func ask(ctx context.Context, f *folder, q piccolo.Query) (piccolo.Answer, error) {
	return f.writer.Answer(ctx, q)
}

// await has a client wait for a reply, and the driver take it.
func (w *world) await(p *producer, wait func() piccolo.Ack, reply func(held piccolo.Ack)) {
	w.clients++
	client := uint64(w.clients)
	go func() {
		held := wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		p.exist()
		w.tell(&p.process, "reply", client, 0, "", func() { reply(held) })
	}()
}

// checkRefusal : a refusal has a reason.
func (w *world) checkRefusal(p *producer, err error) {
	switch {
	case errors.Is(err, piccolo.ErrStopping) && p.stopping:
	case errors.Is(err, piccolo.ErrFull) && p.full:
	case errors.Is(err, piccolo.ErrBusy) && p.in.Keys() >= int64(w.maxKeys):
	default:
		w.fail("%s refuses an increment without reason: %v", p.name, err)
	}
}

// checkReply : no reply before its reason.
func (w *world) checkReply(b *batch, held, asked piccolo.Ack) {
	switch {
	case held > asked:
		w.fail("%s was asked to be %s, and is %s", b.id, asked, held)
	case held == piccolo.AckStored && !b.acked:
		w.fail("a reply says that %s is stored, and no PubAck came", b.id)
	case held == piccolo.AckApplied && !w.book.folded(b) && !w.restored:
		w.fail("a reply says that %s is applied, and it is not committed", b.id)
	}
}

// checkTotal : the total in a reply is one that the key had since the batches
// of a receipt were committed; 0 where it was removed.
func (w *world) checkTotal(carried piccolo.Receipt, key string, total int64, ok bool) {
	carried = carried.In(piccolo.Partition(piccolo.Hash(key), w.partitions))
	t, since := w.book.keys[key], w.book.foldedAt(carried)
	switch {
	case w.restored:
	case !ok:
		w.fail("%s is applied, and there is no total of %s", carried, key)
	case !t.had(total, true, since) && (total != 0 || !t.had(0, false, since)):
		w.fail("%s was never %d after %s was applied", key, total, carried)
	}
}

// value is small mostly, and often at an end of int64.
func (w *world) value() int64 {
	switch w.rng.IntN(8) {
	case 0:
		return pick(w, []int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64, math.MaxInt64 - 1})
	case 1:
		return pick(w, []int64{math.MinInt64 / 2, math.MaxInt64/2 + 1})
	case 2:
		return w.rng.Int64() - math.MaxInt64/2
	}
	return w.rng.Int64N(11) - 5
}

// receipt is what a client has in hand.
type receipt struct {
	key string
	ids piccolo.Receipt
}

// queryTimeout is how long a client waits for an answer.
const queryTimeout = 3 * time.Second

// query has a client ask for a key's value, with a receipt or without.
func (w *world) query() bool {
	var open []*folder
	for _, f := range w.writers {
		if f.opened && !f.dead {
			open = append(open, f)
		}
	}
	if len(open) == 0 {
		return false
	}
	f := pick(w, open)
	q := piccolo.Query{Keys: []string{pick(w, w.keys)}}
	var after piccolo.Receipt
	if n := len(w.receipts); n > 0 && w.chance(0.7) {
		r := w.receipts[max(0, n-1-w.rng.IntN(10))]
		after = r.ids
		q = piccolo.Query{Keys: []string{r.key}, After: r.ids.String()}
	}
	w.clients++
	client := uint64(w.clients)
	w.logf("%s is asked for %s after %q", f.name, q.Keys[0], q.After)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		a, err := w.asker(ctx, f, q)
		w.mu.Lock()
		defer w.mu.Unlock()
		f.exist()
		w.tell(&f.process, "answer", client, 0, "", func() { w.checkAnswer(f, q, after, a, err) })
	}()
	return true
}

// checkAnswer : a read with a receipt has what the receipt names.
func (w *world) checkAnswer(f *folder, q piccolo.Query, after piccolo.Receipt, a piccolo.Answer, err error) {
	w.logf("%s answers %+v, %v", f.name, a, err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return
	case err != nil:
		w.fail("%s does not answer: %v", f.name, err)
	case w.restored:
	case after != nil && w.book.foldedAt(after) == 0:
		w.fail("%s answers for %s, which is not committed", f.name, after)
	case len(a.Numbers) > 1 || !w.had(q.Keys[0], a.Numbers, w.book.foldedAt(after)):
		w.fail("%s answers %v for %s, which it never was after %q", f.name, a.Numbers, q.Keys[0], after)
	case a.FreshnessMS < 0:
		w.fail("%s answers with a freshness of %v ms", f.name, a.FreshnessMS)
	}
}

// had says whether a key was what an answer says of it, at some time since a
// commit.
func (w *world) had(key string, numbers []piccolo.Number, since int) bool {
	t := w.book.keys[key]
	if len(numbers) == 0 {
		return t.had(0, false, since)
	}
	return numbers[0].Key == key && t.had(numbers[0].Value, true, since)
}
