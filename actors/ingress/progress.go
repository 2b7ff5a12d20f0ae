package ingress

import (
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// progress is how far a flusher has come. It is written by the flusher and read
// by others.
type progress struct {
	done       atomic.Uint64 // the seq up to which batches are off the flusher's hands
	steps      atomic.Uint64
	unanswered atomic.Uint64
}

// Progress tells how far each partition's flusher has come: its steps are
// batches that the stream acknowledged, or said it has no room for. Work waits
// where a batch is under way, or should be.
func (in *Ingress) Progress() []piccolo.Progress {
	all := make([]piccolo.Progress, len(in.flushers))
	for i, f := range in.flushers {
		// In this order: a batch that is stored in between looks as if it
		// waited, and the next look sees that it does not.
		done := f.progress.done.Load()
		tail := in.reducers[i].tail.Load()
		all[i] = piccolo.Progress{
			Steps:      f.progress.steps.Load(),
			Unanswered: f.progress.unanswered.Load(),
			Waiting:    tail.id.Seq > done+1 || tail.overdue(in.FlushInterval),
		}
	}
	return all
}

// overdue says whether p should have been sealed already.
func (p *pending) overdue(interval time.Duration) bool {
	return !p.empty() && (p.waiters.Load() > 0 || time.Since(time.Unix(0, p.accepted.Load())) > interval)
}
