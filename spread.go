package piccolo

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Spread counts durations by how long they were, each to within a sixteenth. Two
// of them add up to that of both, and what came between two moments is the
// difference, which is more than can be said of quantiles.
type Spread [spreadSize]uint64

const (
	spreadUnit = 8 * time.Microsecond // the first bucket; eight buckets to each doubling above eight of it
	spreadSize = 208                  // up to 9 minutes; the last takes all above
)

// bucket says where a duration is counted.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0) / spreadUnit)
	if v < 8 {
		return int(v)
	}
	exp := bits.Len64(v) - 1
	return min((exp-2)*8+int(v>>(exp-3)&7), spreadSize-1)
}

// startOf returns where bucket i begins.
func startOf(i int) time.Duration {
	if i < 8 {
		return time.Duration(i) * spreadUnit
	}
	return time.Duration(8+i%8) << (i/8 - 1) * spreadUnit
}

// Add counts what o counted.
func (s *Spread) Add(o *Spread) {
	for i := range s {
		s[i] += o[i]
	}
}

// Since returns what was counted since before.
func (s *Spread) Since(before *Spread) (d Spread) {
	for i := range s {
		d[i] = s[i] - min(before[i], s[i])
	}
	return d
}

// Count is how many durations there are.
func (s *Spread) Count() (n uint64) {
	for _, c := range s {
		n += c
	}
	return n
}

// Within counts the durations that were at most d, to within a bucket.
func (s *Spread) Within(d time.Duration) (n uint64) {
	for i := 0; i < spreadSize-1 && startOf(i+1) <= d+d/16; i++ {
		n += s[i]
	}
	return n
}

// Sum estimates what all durations come to.
func (s *Spread) Sum() (sum time.Duration) {
	for i, c := range s {
		sum += time.Duration(c) * ((startOf(i) + startOf(i+1)) / 2)
	}
	return sum
}

// Quantile returns the duration that a part q of all were not longer than; 0
// where there are none.
func (s *Spread) Quantile(q float64) time.Duration {
	rank := q * float64(s.Count())
	seen := 0.0
	for i, c := range s {
		if c == 0 {
			continue
		}
		if seen += float64(c); seen >= rank {
			from, to := startOf(i), startOf(i+1)
			return from + time.Duration(float64(to-from)*(1-(seen-rank)/float64(c)))
		}
	}
	return 0
}

// SpreadCounter is a Spread that many goroutines count into.
type SpreadCounter [spreadSize]atomic.Uint64

// Observe counts a duration.
func (c *SpreadCounter) Observe(d time.Duration) { c[bucket(d)].Add(1) }

// Read returns what has been counted.
func (c *SpreadCounter) Read() (s Spread) {
	for i := range c {
		s[i] = c[i].Load()
	}
	return s
}
