package writer

import (
	"context"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// gone reports messages that the stream no longer holds, and that never came to
// this database. A backup that is older than what the stream retains lacks them:
// a later copy of the database had folded them, and they were trimmed. Nothing
// brings them back, so the sums are short, and somebody has to know.
//
// StreamSeqs are contiguous over all partitions, and a writer trims only what it
// has folded: so where the database has all partitions, what is below the first
// message is below one of its positions, or gone. Of a database that has some of
// them nothing can be told: the others' messages are missing there by rights.
func (w *Writer) gone(ctx context.Context, p *partition, s piccolo.StreamState) error {
	if len(w.owned) < w.Of {
		return nil
	}
	last := w.furthest(s.Created, func(p *partition) piccolo.Position { return p.position })
	if s.FirstSeq <= last+1 {
		return nil
	}
	// Another writer may have taken the database over, and folded what this one
	// does not know of.
	positions, err := w.Store.Positions(ctx)
	if err != nil {
		return databaseError{err}
	}
	last = w.furthest(s.Created, func(p *partition) piccolo.Position { return positions[p.number] })
	if s.FirstSeq <= last+1 {
		return nil
	}
	atMost := s.FirstSeq - 1 - last // a batch that was stored twice has two
	w.Log.Error("batches are in neither the stream nor this database: it is older than what was trimmed, or somebody removed them from the stream. The sums are short of them. Stop, and restore a later backup if there is one; with retain, the stream keeps what a backup lacks",
		"batchesAtMost", atMost, "fromStreamSeq", last+1, "toStreamSeq", s.FirstSeq-1)
	w.Observer.Gone(atMost)
	return w.start(ctx, p, s) // so that it is reported once
}

// furthest is the highest of the positions in the stream that was created then.
func (w *Writer) furthest(created time.Time, position func(*partition) piccolo.Position) (last uint64) {
	for _, p := range w.owned {
		if at := position(p); sameTime(at.Created, created) {
			last = max(last, at.StreamSeq)
		}
	}
	return last
}
