package ingress

import (
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// What counting a reply costs, and telling how long it took.
func BenchmarkTimed(b *testing.B) {
	var r Replies
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.acked(piccolo.AckStored, r.begun())
		}
	})
}

func TestRepliesAreTimed(t *testing.T) {
	t.Parallel()
	var r Replies
	timed := uint64(0)
	for range 10_000 {
		begun := r.begun()
		if !begun.IsZero() {
			begun = begun.Add(-time.Second)
			timed++
		}
		r.acked(piccolo.AckStored, begun)
	}
	times := r.Times()
	if q := times.Quantile(.01); times.Count() != timed || q < 900*time.Millisecond {
		t.Errorf("%d of %d took from %s", times.Count(), timed, q)
	}
	if timed < 10_000/timedOf/2 || timed > 10_000/timedOf*2 {
		t.Errorf("%d of 10,000 are timed", timed)
	}
}
