package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// pulse is an observer of ingress and writer that passes everything on to the
// metrics and keeps what the one line of a status shows.
type pulse struct {
	*admin.Metrics
	stored    atomic.Uint64 // increments
	committed atomic.Uint64 // increments
	behind    atomic.Int64  // ns: the worst freshness since it was last read
}

func newPulse() *pulse { return &pulse{Metrics: admin.NewMetrics(version())} }

// Flushed implements ingress.Observer.
func (p *pulse) Flushed(f piccolo.Flush) {
	p.Metrics.Flushed(f)
	p.stored.Add(f.Increments)
}

// Committed implements writer.Observer.
func (p *pulse) Committed(c piccolo.Commit) {
	p.Metrics.Committed(c)
	// Before the rate, so that no line has a rate whose lag comes in a later one.
	for _, d := range c.Freshness {
		for worst := p.behind.Load(); int64(d) > worst && !p.behind.CompareAndSwap(worst, int64(d)); {
			worst = p.behind.Load()
		}
	}
	p.committed.Add(c.Increments)
}

// rate makes a function that says how many increments were counted each second
// since it was last asked.
func rate(count *atomic.Uint64) func(past time.Duration) string {
	last := count.Load()
	return func(past time.Duration) string {
		now := count.Load()
		n := float64(now-last) / past.Seconds()
		last = now
		return fmt.Sprintf("%.0f increments/s", n)
	}
}

// ingressStatus is the status of a process that only stores.
func (s *service) ingressStatus() func(time.Duration) string {
	stored := rate(&s.metrics.stored)
	return func(past time.Duration) string {
		batches, oldest := s.ingress.Unstored()
		status := fmt.Sprintf("%s stored, %s waiting", stored(past), plural(batches, "batch", "batches"))
		if batches > 0 && oldest > 0 {
			status += ", the oldest for " + oldest.Round(time.Millisecond).String()
		}
		return status
	}
}

// writerStatus is the status of a process that commits. It is as far behind as
// what was committed since the last line came late, or as what is not committed
// yet: a writer that is blocked commits nothing.
func (s *service) writerStatus() func(time.Duration) string {
	committed := rate(&s.metrics.committed)
	return func(past time.Duration) string {
		parts := []string{committed(past) + " committed"}
		if last := s.last.Load(); last != nil && last.Writer.Backlog != nil {
			parts = append(parts, "backlog "+plural(last.Writer.Backlog.Batches, "batch", "batches"))
		}
		if behind := max(time.Duration(s.metrics.behind.Swap(0)), s.writer.Behind()); behind > 0 {
			parts = append(parts, fmt.Sprintf("at most %s behind", behind.Round(time.Millisecond)))
		}
		return strings.Join(parts, ", ")
	}
}
