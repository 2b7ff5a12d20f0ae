package ingress

import (
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// What counting a reply costs, and telling how long it took.
func BenchmarkTimed(b *testing.B) {
	var r Replies
	start := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.acked(piccolo.AckStored, start)
		}
	})
}

func TestRepliesAreTimed(t *testing.T) {
	t.Parallel()
	var r Replies
	for range 2 * timedOf {
		r.acked(piccolo.AckStored, time.Now().Add(-time.Second))
	}
	times := r.Times()
	if q := times.Quantile(1); times.Count() != 2 || q < 900*time.Millisecond {
		t.Errorf("%d took up to %s", times.Count(), q)
	}
}
