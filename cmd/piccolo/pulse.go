package main

import (
	"context"
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
	p.committed.Add(c.Increments)
	for _, d := range c.Freshness {
		for worst := p.behind.Load(); int64(d) > worst && !p.behind.CompareAndSwap(worst, int64(d)); {
			worst = p.behind.Load()
		}
	}
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
func (s *service) ingressStatus() func(context.Context, time.Duration) string {
	stored := rate(&s.metrics.stored)
	return func(_ context.Context, past time.Duration) string { return stored(past) + " stored" }
}

// writerStatus is the status of a process that commits.
func (s *service) writerStatus(partitions []int) func(context.Context, time.Duration) string {
	committed := rate(&s.metrics.committed)
	return func(ctx context.Context, past time.Duration) string {
		parts := []string{committed(past) + " committed"}
		if n, err := s.uncommitted(ctx, partitions); err != nil {
			parts = append(parts, "backlog unknown: "+strings.ReplaceAll(err.Error(), "\n", ": "))
		} else {
			parts = append(parts, fmt.Sprintf("backlog %d batches", n))
		}
		if behind := time.Duration(s.metrics.behind.Swap(0)); behind > 0 {
			parts = append(parts, fmt.Sprintf("at most %s behind", behind.Round(time.Millisecond)))
		}
		return strings.Join(parts, ", ")
	}
}

// uncommitted is the number of batches that the stream holds for these
// partitions and that are not known to be committed.
func (s *service) uncommitted(ctx context.Context, partitions []int) (n uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, partition := range partitions {
		state, err := s.conn.State(ctx, partition)
		if err != nil {
			return 0, err
		}
		n += state.Pending + uint64(state.AckPending)
	}
	return n, nil
}
