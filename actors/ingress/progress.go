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
	since      atomic.Int64  // when the first increment of the sealed batch was accepted, Unix time in ns; 0 where none is sealed
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
		waiting := f.unstored(in.FlushInterval) > 0
		all[i] = piccolo.Progress{
			Steps:      f.progress.steps.Load(),
			Unanswered: f.progress.unanswered.Load(),
			Waiting:    waiting,
		}
	}
	return all
}

// Unstored tells how many batches are under way to the stream, or should be, and
// how long ago the oldest increment in them was accepted.
func (in *Ingress) Unstored() (batches uint64, oldest time.Duration) {
	for _, f := range in.flushers {
		if since := f.progress.since.Load(); since != 0 {
			oldest = max(oldest, time.Since(time.Unix(0, since)))
		}
		batches += f.unstored(in.FlushInterval)
	}
	return batches, oldest
}

// unstored is the number of this flusher's.
func (f *flusher) unstored(interval time.Duration) uint64 {
	done := f.progress.done.Load()
	tail := f.reducer.tail.Load() // moves only on, so that this is no less than 0
	n := tail.id.Seq - done - 1
	if tail.overdue(interval) {
		n++
	}
	return n
}

// overdue says whether p should have been sealed already.
func (p *pending) overdue(interval time.Duration) bool {
	return !p.empty() && (p.waiters.Load() > 0 || time.Since(time.Unix(0, p.accepted.Load())) > interval)
}
