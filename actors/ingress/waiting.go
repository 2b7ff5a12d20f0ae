package ingress

import (
	"sync"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// waiting are the batches whose replies wait for the commit to the database.
type waiting struct {
	keep time.Duration // after which nobody waits for a batch any more

	mu      sync.Mutex
	batches map[piccolo.BatchID]*waited
}

type waited struct {
	batch *pending
	since time.Time
}

func newWaiting(keep time.Duration) *waiting {
	return &waiting{keep: keep, batches: make(map[piccolo.BatchID]*waited)}
}

func (w *waiting) add(p *pending) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, b := range w.batches { // a notice may be lost
		if now.Sub(b.since) > w.keep {
			delete(w.batches, id)
		}
	}
	w.batches[p.id] = &waited{p, now}
}

// applied takes a writer's notice.
func (w *waiting) applied(a piccolo.Applied) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, seq := range a.Seqs {
		id := piccolo.BatchID{Producer: a.Producer, Partition: a.Partition, Seq: seq}
		if b := w.batches[id]; b != nil {
			delete(w.batches, id)
			b.batch.totals, b.batch.conflicts = a.Totals, a.Conflicts
			close(b.batch.applied)
		}
	}
}
