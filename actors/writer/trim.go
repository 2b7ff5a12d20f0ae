package writer

import (
	"context"
	"slices"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/internal/crashpoint"
)

// floor is an ack floor and when it was reached.
type floor struct {
	seq uint64
	at  time.Time
}

// samples is how many floors stand for what a writer before has left.
const samples = 32

// retained finds floors for what was acked before this writer started, and is
// still to be retained. When it was committed nobody knows any more; when it was
// stored the stream does. Without that, a writer that is started again more
// often than Retain would never trim.
func (w *Writer) retained(ctx context.Context, p *partition, s piccolo.StreamState) {
	if w.Retain == 0 || len(p.floors) > 0 || p.trimmed > 0 || s.AckFloor < s.FirstSeq {
		return
	}
	var floors []floor
	held := s.AckFloor - s.FirstSeq + 1
	for i := range min(held, samples) {
		seq := s.FirstSeq + (held-1)*(i+1)/min(held, samples)
		// The message there, or the next one, was stored after all before it.
		stored, err := w.Stream.Stored(ctx, p.number, seq)
		if err != nil {
			w.Log.Warn("cannot tell since when the stream holds what was committed: it is retained from now on", "partition", p.number, "error", err)
			return
		}
		if stored.IsZero() {
			break
		}
		floors = append(floors, floor{seq, stored})
	}
	p.floors = floors
}

// trim removes from the stream what has been committed, Retain ago. The ack
// floor says up to where: it only passes what this writer acked, which it does
// after the commit.
func (w *Writer) trim(ctx context.Context, p *partition, ackFloor uint64) {
	now := time.Now()
	// Floors above are of a stream, or a consumer, that there is no longer.
	p.floors = slices.DeleteFunc(p.floors, func(f floor) bool { return f.seq > ackFloor })
	if n := len(p.floors); n == 0 || p.floors[n-1].seq < ackFloor {
		p.floors = append(p.floors, floor{ackFloor, now})
	}
	upto := p.trimmed
	for len(p.floors) > 0 && now.Sub(p.floors[0].at) >= w.Retain {
		upto = p.floors[0].seq
		p.floors = p.floors[1:]
	}
	if upto <= p.trimmed {
		return
	}
	crashpoint.Here("trim.before")
	if err := w.Stream.Trim(ctx, p.number, upto); err != nil {
		w.Log.Warn("the stream cannot be trimmed, trying again", "partition", p.number, "error", err)
		return
	}
	crashpoint.Here("trim.after")
	p.trimmed = upto
	w.passed.trims.Add(1)
}
