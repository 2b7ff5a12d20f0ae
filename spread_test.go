package piccolo_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// A quantile is never further off than a bucket is wide.
func TestSpreadQuantile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(math.Exp2(rapid.Float64Range(13, 38).Draw(t, "log2")))
		}), 1, 200).Draw(t, "durations")
		var c piccolo.SpreadCounter
		for _, d := range durations {
			c.Observe(d)
		}
		s := c.Read()
		if n := s.Count(); n != uint64(len(durations)) {
			t.Fatalf("counts %d of %d", n, len(durations))
		}
		slices.Sort(durations)
		q := rapid.Float64Range(0.001, 1).Draw(t, "q")
		want := durations[max(int(math.Ceil(q*float64(len(durations))))-1, 0)]
		got := s.Quantile(q)
		if off := (got - want).Abs(); off > want/8+8*time.Microsecond {
			t.Fatalf("quantile %.3f is %s, want %s", q, got, want)
		}
	})
}

func TestSpreadsAddUp(t *testing.T) {
	t.Parallel()
	var a, b piccolo.SpreadCounter
	a.Observe(time.Millisecond)
	before := a.Read()
	a.Observe(time.Hour) // longer than it tells apart
	a.Observe(-time.Second)
	now := a.Read()
	since := now.Since(&before)
	if since.Count() != 2 || since.Quantile(0.5) > 8*time.Microsecond || since.Quantile(1) < 8*time.Minute {
		t.Errorf("since: %v", since)
	}
	b.Observe(time.Second)
	both := b.Read()
	both.Add(&now)
	if both.Count() != 4 {
		t.Errorf("both: %d", both.Count())
	}
	var none piccolo.Spread
	if none.Quantile(0.99) != 0 {
		t.Error("none has a quantile")
	}
}
