package ingress

import (
	"sync"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// pace decides how long a batch that nobody waits for gathers.
//
// The longer it is, the more increments share a flush and a row; but each is
// to be committed within the freshness that was asked for, and of that the
// way from flush to commit takes a part, which the writers' notices tell. What
// is left is cut into equal intervals, none longer than the flush interval: so
// the last of the batches that a writer folds together comes just in time.
type pace struct {
	interval  time.Duration
	freshness time.Duration // 0: there is only the interval

	mu     sync.Mutex
	sealed [256]struct { // the last batches, by seq
		seq uint64
		at  time.Time
	}
	lag time.Duration // from sealed to known as committed
}

func newPace(interval, freshness time.Duration) *pace {
	return &pace{interval: interval, freshness: freshness}
}

// gather is how long a batch takes increments, from the first on.
func (p *pace) gather() time.Duration {
	if p.freshness == 0 {
		return p.interval
	}
	p.mu.Lock()
	lag := p.lag
	p.mu.Unlock()
	room := p.freshness - lag
	if room > p.interval {
		// Rounded up, so that none is longer than the interval.
		return room / ((room + p.interval - 1) / p.interval)
	}
	// Where the way takes all there is, more batches would only make it longer.
	return max(room, min(lag/4, p.interval))
}

// seals is told that a batch is on its way.
func (p *pace) seals(seq uint64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.sealed[seq%uint64(len(p.sealed))]
	s.seq, s.at = seq, now
}

// applied takes a writer's notice. Only the last batch in it counts: the
// others had to wait for that one.
func (p *pace) applied(a piccolo.Applied, now time.Time) {
	var last uint64
	for _, seq := range a.Seqs {
		last = max(last, seq)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sealed[last%uint64(len(p.sealed))]
	if s.seq != last || last == 0 {
		return // long ago, or another's
	}
	took := min(now.Sub(s.at), 2*p.freshness) // a hiccup is not for long
	if p.lag == 0 {
		p.lag = took
	}
	p.lag = (3*p.lag + took) / 4
}
