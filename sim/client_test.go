package sim_test

import (
	"context"
	"errors"
	"math"
	"slices"
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
	b := w.book.counted(id, key, value)
	w.receipts = append(w.receipts, receipt{key, id})
	if ack == piccolo.AckMemory {
		return
	}
	w.clients++
	client := uint64(w.clients)
	go w.await(p, client, counted, func(held piccolo.Ack) {
		w.logf("%s replies that %s %+d is %s", p.name, key, value, held)
		w.checkReply(b, held, ack)
		w.book.keys[key].replied(held, value)
		if total, ok := counted.Total([]byte(key)); held == piccolo.AckApplied {
			w.checkTotal(b, key, total, ok)
		}
	})
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

// await waits for the reply, and has the driver take it.
func (w *world) await(p *producer, client uint64, counted counting, reply func(held piccolo.Ack)) {
	held := counted.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	p.exist()
	w.tell(&p.process, "reply", client, 0, "", func() { reply(held) })
}

func (t *tally) replied(held piccolo.Ack, value int64) {
	if held >= piccolo.AckStored {
		t.stored.add(value)
	}
	if held >= piccolo.AckApplied {
		t.applied.add(value)
	}
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
	case held == piccolo.AckApplied && !b.folded && !w.restored:
		w.fail("a reply says that %s is applied, and it is not committed", b.id)
	}
}

// checkTotal : the total in a reply is one that the key had since the batch
// was committed.
func (w *world) checkTotal(b *batch, key string, total int64, ok bool) {
	if w.restored {
		return
	}
	if !ok {
		w.fail("%s is applied, and there is no total of %s", b.id, key)
		return
	}
	values := w.book.keys[key].values
	for n, v := range values {
		if v.value == total && (n == len(values)-1 || values[n+1].commit > b.commit) {
			return
		}
	}
	w.fail("%s was never %d after %s was applied", key, total, b.id)
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
	id  piccolo.BatchID
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
	var after *batch
	if n := len(w.receipts); n > 0 && w.chance(0.7) {
		r := w.receipts[max(0, n-1-w.rng.IntN(10))]
		after = w.book.batches[r.id]
		q = piccolo.Query{Keys: []string{r.key}, After: r.id.String()}
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
func (w *world) checkAnswer(f *folder, q piccolo.Query, after *batch, a piccolo.Answer, err error) {
	w.logf("%s answers %+v, %v", f.name, a, err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return
	case err != nil:
		w.fail("%s does not answer: %v", f.name, err)
	case w.restored:
	case after != nil && (!after.folded || len(a.Numbers) == 0):
		w.fail("%s answers for %s, which is not committed", f.name, after.id)
	case len(a.Numbers) > 0 && !slices.ContainsFunc(w.book.keys[q.Keys[0]].values, func(v valued) bool { return v.value == a.Numbers[0].Value }):
		w.fail("%s answers %v, which it never was", f.name, a.Numbers[0])
	case a.FreshnessMS < 0:
		w.fail("%s answers with a freshness of %v ms", f.name, a.FreshnessMS)
	}
}
