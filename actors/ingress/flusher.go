package ingress

import (
	"context"
	"sync"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/internal/crashpoint"
)

const (
	// linger is how long a flush waits at most for those who waited for the
	// one before to be back: sharing an fsync is worth more than that.
	linger = 4 * time.Millisecond

	sweepEvery = 10 * time.Second
)

// flusher takes the batches of one reducer, oldest first, one at a time, and
// has each stored in the stream. While one is on its way the next gathers, so
// that the load sets the size of batches by itself.
type flusher struct {
	storer
	reducer *reducer
	head    *pending // the oldest batch whose outcome is unknown
	pace    *pace
	traces  *traces
	waiting *waiting // replies that wait for applied

	mu        sync.Mutex // guards what reports read
	published piccolo.Published

	sealed piccolo.Batch // reused
	data   []byte        // reused
	swept  time.Time
}

// run flushes until stop is closed and all that was counted is stored, or
// until ctx ends. It returns what could not be stored, in order; nothing may
// be added to the reducer any more when stop is closed.
func (f *flusher) run(ctx context.Context, stop <-chan struct{}) (left []piccolo.Message) {
	for {
		p := f.head
		if p.empty() {
			select {
			case <-f.reducer.opened:
				continue
			case <-stop:
				if p.empty() {
					return left
				}
			}
		}
		f.gather(p, stop)
		m, span := f.seal(p)
		f.progress.since.Store(f.sealed.Accepted.UnixNano())
		crashpoint.Here("flush.sealed")
		if len(left) > 0 || !f.store(ctx, m) {
			left = append(left, *m)
			f.data = nil // it is the message's now
			f.traces.ended(span, "not stored before the stop: it goes to the spool")
		} else {
			crashpoint.Here("flush.stored")
			f.stored(m)
			close(p.stored) // Invariant: no reply before the acknowledgement.
			f.traces.ended(span, "")
		}
		f.progress.since.Store(0)
		f.progress.done.Store(p.id.Seq)
		f.head = p.next.Load()
		f.sweep()
	}
}

// stored enters a message of this process that was acknowledged.
func (f *flusher) stored(m *piccolo.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published.Seq = m.ID.Seq
	f.published.Increments += m.Increments
}

// account tells how far the partition's increments have come. What is accepted
// is read last, so that it is never less than what is published.
func (f *flusher) account() piccolo.Published {
	f.mu.Lock()
	p := f.published
	f.mu.Unlock()
	p.Partition = f.reducer.partition
	p.Accepted = f.reducer.accepted()
	return p
}

// gather returns when p is to be flushed: it is full, its first increment has
// waited for the interval, or replies wait for it. In the last case it stays
// a little for as many as waited for the batch before.
func (f *flusher) gather(p *pending, stop <-chan struct{}) {
	interval := time.NewTimer(f.pace.gather() - time.Since(time.Unix(0, p.accepted.Load())))
	defer interval.Stop()
	var crowd <-chan time.Time
	for !p.full() {
		if waiters := p.waiters.Load(); waiters > 0 {
			if waiters >= p.crowd {
				return
			}
			if crowd == nil {
				t := time.NewTimer(linger)
				defer t.Stop()
				crowd = t.C
			}
		}
		select {
		case <-p.due:
		case <-crowd:
			return
		case <-interval.C:
			return
		case <-stop:
			return
		}
	}
}

// seal makes p a message. Its bytes never change afterwards. The span, which is
// nil where nobody wants to see it, has begun.
func (f *flusher) seal(p *pending) (*piccolo.Message, *piccolo.Span) {
	f.pace.seals(p.id.Seq, time.Now())
	f.reducer.seal(p, &f.sealed)
	f.data = piccolo.AppendBatch(f.data[:0], &f.sealed)
	if p.wantTotal.Load() {
		f.waiting.add(p)
	}
	m := &piccolo.Message{ID: p.id, Keys: f.sealed.Keys(), Increments: f.sealed.Increments, Data: f.data}
	span := f.traces.flush(p, &f.sealed, len(m.Data))
	if span != nil {
		m.Trace = span.SpanContext
	}
	return m, span
}

// sweep forgets idle keys now and then, and at once when they take up half of
// what may be kept.
func (f *flusher) sweep() {
	switch now := time.Now(); {
	case f.reducer.budget.crowded():
		f.reducer.sweep(true)
	case now.Sub(f.swept) > sweepEvery:
		f.swept = now
		f.reducer.sweep(false)
	}
}
