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

	deltas int       // gathered
	oldest time.Time // when the oldest of them was accepted
	urgent bool      // somebody waits for one of them to be committed
}

// share is the part of its time that a writer may spend in transactions while
// it is within the freshness: one over share.
const share = 12

// window returns how long to gather from now on.
func (g *gear) window(now time.Time) time.Duration {
	rest := g.at.Add(share * g.took).Sub(now)
	// Accepted by another machine's clock, or long ago: there is no time to
	// lose then.
	limit := g.oldest.Add(g.freshness - g.took).Sub(now)
	return max(min(rest, limit, g.freshness), 0)
}

// folded starts over after a transaction.
func (g *gear) folded(took time.Duration, now time.Time) {
	// A slow one is remembered for a while, so that a hiccup of the disk does
	// not make the next batch late.
	g.took = max(took, (3*g.took+took)/4)
	g.at = now
	g.deltas, g.oldest, g.urgent = 0, time.Time{}, false
}
