package admin_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// counted are metrics with something in each, and what comes once a batch.
func counted() (m *admin.Metrics, flush piccolo.Flush, commit piccolo.Commit) {
	m = admin.NewMetrics("test")
	var times piccolo.SpreadCounter
	m.Spread("piccolo_reply_seconds", "Test.", times.Read)
	m.Replies(func(f func(status int, ack string, n uint64)) {
		f(200, "stored", 1)
		f(202, "memory", 1)
		f(503, "", 1)
	})
	flush = piccolo.Flush{Increments: 12_345, Keys: 1000, Bytes: 40_000, Took: time.Millisecond}
	commit = piccolo.Commit{Batches: 4, Increments: 50_000, Rows: 1000, Took: 5 * time.Millisecond, Freshness: make([]time.Duration, 4)}
	for i := range 1000 {
		commit.Deltas = append(commit.Deltas, piccolo.Delta{Key: fmt.Sprintf("views/thing-%d", i*i%1000), Value: int64(i)})
	}
	for range 1000 {
		m.Flushed(flush)
		m.Committed(commit)
	}
	return m, flush, commit
}

// What a flush, and a commit of 1,000 rows from four batches, add to the metrics.
func BenchmarkMetrics(b *testing.B) {
	m, flush, commit := counted()
	for name, count := range map[string]func(){"flush": func() { m.Flushed(flush) }, "commit": func() { m.Committed(commit) }} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				count()
			}
		})
	}
}

// BenchmarkScrape is what Prometheus costs when it asks.
func BenchmarkScrape(b *testing.B) {
	m, _, _ := counted()
	p := serve(b, m)
	b.ReportAllocs()
	for b.Loop() {
		if status, _ := p.get("/metrics"); status != http.StatusOK {
			b.Fatal(status)
		}
	}
}

// A flush costs the metrics no allocation.
func TestCountingAFlushAllocatesNothing(t *testing.T) {
	m, flush, _ := counted()
	if n := testing.AllocsPerRun(1000, func() { m.Flushed(flush) }); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}
