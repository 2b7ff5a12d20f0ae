package writer

import "time"

// gear decides how long the writer gathers batches before it folds them.
//
// Alone, a batch is folded at once. The more of its time the writer spends in
// transactions, the longer it gathers, so that more increments share a row and
// more rows an fsync; but never so long that the oldest increment would be
// older than the freshness asked for when it is committed, and not where no
// other batch is to be expected by then. Where the freshness is out of reach, it
// still leaves half of the time to whatever brings the increments: folding
// without a pause would only make for more, and smaller, transactions.
type gear struct {
	freshness time.Duration

	took time.Duration // the last transaction
	work time.Duration // the part of it that its deltas explain
	at   time.Time     // when it ended
	rest time.Duration // after which it is time for the next

	last    time.Time     // when a batch came
	spacing time.Duration // between one and the next, lately

	most int // deltas of a transaction, so that it takes no longer than foldFor; 0 at first

	batches int       // gathered
	deltas  int       // in them
	bytes   int       // of them
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

// workPerDelta is more than a delta takes of a transaction. What one took besides
// was spent waiting for the disk, and says nothing of how busy the machine is.
const workPerDelta = 10 * time.Microsecond

// Bounds of one transaction. Many deltas at once, as with a backlog, share rows
// and pages: out of a million keys 500,000 cost half of what they do by 100,000.
// But they are held in memory, and a transaction has to stay far below the time
// after which the stream delivers again, however slow the disk is.
const (
	maxFoldBatches = 4096
	maxFoldDeltas  = 500_000
	minFoldDeltas  = 10_000
	maxFoldBytes   = 64 << 20
	foldFor        = 2 * time.Second
)

// full says whether what has been gathered is enough for a transaction.
func (g *gear) full() bool {
	most := g.most
	if most == 0 {
		most = 5 * minFoldDeltas
	}
	return g.batches >= maxFoldBatches || g.deltas >= most || g.bytes >= maxFoldBytes
}

// window returns how long to gather from now on.
func (g *gear) window(now time.Time) time.Duration {
	ready := g.at.Add(g.rest).Sub(now)
	// Accepted by another machine's clock, or long ago: there is no time to
	// lose then.
	limit := g.oldest.Add(g.freshness - g.took).Sub(now)
	half := g.at.Add(g.work).Sub(now)
	window := max(min(ready, limit, g.freshness), half, 0)
	if g.last.Add(g.spacing).Sub(now) > window {
		return 0 // no other comes in time, and this one might as well be there
	}
	return window
}

// arrived is told that a batch came.
func (g *gear) arrived(now time.Time) {
	if !g.last.IsZero() {
		// A long silence is forgotten with the first few batches after it.
		g.spacing = (3*g.spacing + min(now.Sub(g.last), g.freshness)) / 4
	}
	g.last = now
}

// folded starts over after a transaction.
func (g *gear) folded(took time.Duration, now time.Time) {
	// A slow one is remembered for a while, so that a hiccup of the disk does
	// not make the next batch late.
	g.took = max(took, (3*g.took+took)/4)
	g.work = min(took, time.Duration(g.deltas)*workPerDelta)
	times := min(restPerBatch*float64(g.batches)+restPerDelta*float64(g.deltas), mostRest)
	g.at, g.rest = now, time.Duration(times*float64(g.took))
	if g.deltas >= minFoldDeltas { // what fewer take says little of how long many do
		g.most = max(minFoldDeltas, min(int(float64(g.deltas)*foldFor.Seconds()/took.Seconds()), maxFoldDeltas))
	}
	g.batches, g.deltas, g.bytes, g.oldest, g.urgent = 0, 0, 0, time.Time{}, false
}
