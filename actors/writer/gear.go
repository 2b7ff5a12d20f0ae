package writer

import "time"

// gear decides how long the writer gathers batches before it folds them.
//
// Alone, a batch is folded at once. The more of its time the writer spends in
// transactions, the longer it gathers, so that more increments share a row and
// more rows an fsync; but never so long that the oldest increment would be
// older than the freshness asked for when it is committed.
type gear struct {
	freshness time.Duration

	took time.Duration // the last transaction
	at   time.Time     // when it ended
	rest time.Duration // after which it is time for the next

	batches int       // gathered
	deltas  int       // in them
	oldest  time.Time // when the oldest increment of them was accepted
	urgent  bool      // somebody waits for one of them to be committed
}

// After a transaction the writer rests a number of times as long as it took:
// two for each batch, since several mean that more arrive than are folded, and
// one for every eight deltas, since a fold of few is nearly all waiting for
// the disk and one of many is work; but no more than twelve.
const (
	restPerBatch = 2
	restPerDelta = 1. / 8
	mostRest     = 12
)

// window returns how long to gather from now on.
func (g *gear) window(now time.Time) time.Duration {
	ready := g.at.Add(g.rest).Sub(now)
	// Accepted by another machine's clock, or long ago: there is no time to
	// lose then.
	limit := g.oldest.Add(g.freshness - g.took).Sub(now)
	return max(min(ready, limit, g.freshness), 0)
}

// folded starts over after a transaction.
func (g *gear) folded(took time.Duration, now time.Time) {
	// A slow one is remembered for a while, so that a hiccup of the disk does
	// not make the next batch late.
	g.took = max(took, (3*g.took+took)/4)
	times := min(restPerBatch*float64(g.batches)+restPerDelta*float64(g.deltas), mostRest)
	g.at, g.rest = now, time.Duration(times*float64(g.took))
	g.batches, g.deltas, g.oldest, g.urgent = 0, 0, time.Time{}, false
}
