// Package guard notices when a stage of the hot path has become slow.
//
// A time says nothing on a machine with neighbours. So a stage is compared
// with a reference in the same moment, by turns, many times, and the fastest
// round of each counts: nothing makes a loop faster than it is. What is held
// against a limit is the ratio of the two.
package guard

import (
	"math"
	"os"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
)

const (
	rounds = 200
	each   = 2000 // times a stage runs in a round, where it is a small one
)

// Check fails where stage, run n times, takes more than limit times as long as
// n steps of Reference do. It is skipped unless PICCOLO_GUARD is set.
func Check(t *testing.T, limit float64, stage func(n int)) {
	t.Helper()
	if os.Getenv("PICCOLO_GUARD") == "" {
		t.Skip("PICCOLO_GUARD=1 compares the time it takes with a loop's")
	}
	best, reference := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for range rounds {
		start := time.Now()
		_ = Reference(each)
		middle := time.Now()
		stage(each)
		reference, best = min(reference, middle.Sub(start)), min(best, time.Since(middle))
	}
	ratio := float64(best) / float64(reference)
	t.Logf("%d ns, %.1f times a step of the reference", best.Nanoseconds()/each, ratio)
	if ratio > limit {
		t.Errorf("it takes %.1f times as long as a step of the reference, the limit is %.1f", ratio, limit)
	}
}

var (
	keys [1024][]byte
	sums = make(map[uint64]int64)
)

func init() {
	for i := range keys {
		keys[i] = []byte{'k', 'e', 'y', '-', byte(i), byte(i >> 8), 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'}
		sums[xxhash.Sum64(keys[i])] = int64(i)
	}
}

// Reference does n steps: a key's hash, and a look-up in a map by it. It returns
// the sum of what it found, so that none of it is left out.
func Reference(n int) (total int64) {
	for i := range n {
		total += sums[xxhash.Sum64(keys[i%len(keys)])]
	}
	return total
}
