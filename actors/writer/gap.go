package writer

import (
	"context"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// gap is what the ledger misses of a partition: batches below others that have
// been folded. Which they are is told by heads, the largest seq of each
// producer at a moment: what is missing below them now was missing then.
type gap struct {
	lost  map[string]uint64 // below these, what is missing is lost
	since time.Time         // when there was first more than that
	read  map[string]uint64 // heads when the stream was read again because of it; nil if it was not
	until uint64            // where the stream ended then
}

// patience is how long a batch may be missing before it is looked for: one
// that another writer fetched and did not ack comes again after AckWait.
const patience = 40 * time.Second

// missing counts the batches that the ledger misses and that may still come.
func (w *Writer) missing(p *partition) uint64 {
	return w.ledger.Missing(p.number) - w.ledger.MissingBelow(p.number, p.gap.lost)
}

// lost looks for batches that the ledger misses, and says whether there are
// any that may still come, in which case nothing must be trimmed. A consumer
// can skip what it never delivered, when the stream below it was rolled back
// and grew again: reading all of the stream once more brings what is there.
func (w *Writer) lost(ctx context.Context, p *partition, s piccolo.StreamState) bool {
	missing := w.missing(p)
	if missing == 0 {
		p.gap = gap{lost: p.gap.lost}
		return false
	}
	now := time.Now()
	if p.gap.since.IsZero() {
		p.gap.since = now
	}
	quiet := s.Pending == 0 && s.AckPending == 0
	if p.gap.read != nil {
		if !quiet && s.AckFloor < p.gap.until {
			return true // it has not all been read yet
		}
		p.gap = gap{lost: p.gap.read}
		still := w.missing(p) // since later
		if lost := missing - still; lost > 0 {
			w.Log.Error("batches are lost: others of the same producers came, these are not in the stream",
				"partition", p.number, "batches", lost)
			w.Observer.Lost(lost)
		}
		return still > 0
	}
	if !quiet && now.Sub(p.gap.since) < patience {
		return true
	}
	w.Log.Warn("the ledger misses batches, reading again all that the stream holds",
		"partition", p.number, "batches", missing)
	w.unsubscribe(p)
	if err := w.Stream.Rewind(ctx, p.number); err != nil {
		w.Log.Error("the stream cannot be read again, trying again", "partition", p.number, "error", err)
		return true
	}
	w.Observer.Rewound()
	p.gap.read, p.gap.until = w.ledger.Heads(p.number), s.LastSeq
	return true // tend subscribes again
}
