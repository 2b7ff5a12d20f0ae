package writer

import (
	"context"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/internal/crashpoint"
)

// floor is an ack floor and when it was reached.
type floor struct {
	seq uint64
	at  time.Time
}

// maxFloors is about how many floors are kept of the time that is retained: what
// was reached between two of them is retained until the later one may go, and so
// for longer than Retain, by a thousandth. One a second would be 604,800 in a week.
const maxFloors = 1000

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

// reached notes an ack floor, unless the last has been noted less than step ago.
// Afterwards there is a floor, and none above this one.
//
// Invariant: floors ascend, and what is noted here was not reached later than noted.
func (p *partition) reached(ackFloor uint64, now time.Time, step time.Duration) {
	// Floors above are of a stream, or a consumer, that there is no longer.
	n := len(p.floors)
	for n > 0 && p.floors[n-1].seq > ackFloor {
		n--
	}
	p.floors = p.floors[:n]
	if n == 0 || p.floors[n-1].seq < ackFloor && now.Sub(p.floors[n-1].at) >= step {
		p.floors = append(p.floors, floor{ackFloor, now})
	}
}

// trim removes from the stream what has been committed, Retain ago. The ack
// floor says up to where: it only passes what this writer acked, which it does
// after the commit.
func (w *Writer) trim(ctx context.Context, p *partition, ackFloor uint64) {
	now := time.Now()
	p.reached(ackFloor, now, w.Retain/maxFloors)
	for len(p.floors) > 1 && now.Sub(p.floors[1].at) >= w.Retain {
		p.floors = p.floors[1:]
	}
	if now.Sub(p.floors[0].at) < w.Retain {
		return
	}
	upto := p.floors[0].seq // it stays until that is done
	if upto <= p.trimmed {
		p.floors = p.floors[1:]
		return
	}
	crashpoint.Here("trim.before")
	if err := w.Stream.Trim(ctx, p.number, upto); err != nil {
		w.Log.Warn("the stream cannot be trimmed, trying again", "partition", p.number, "error", err)
		return
	}
	crashpoint.Here("trim.after")
	p.trimmed, p.floors = upto, p.floors[1:]
	w.passed.trims.Add(1)
}
