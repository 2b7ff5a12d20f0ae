package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// lookout is an actor that ends when a check goes on failing. Once is not enough:
// a server that is about to make or delete a stream finds itself unhealthy for
// that moment.
type lookout struct {
	check  func(context.Context) error
	excuse func() error
	log    *slog.Logger
	stop   chan struct{}
	once   sync.Once
}

func newLookout(check func(context.Context) error) *lookout {
	return &lookout{check: check, excuse: func() error { return nil }, stop: make(chan struct{})}
}

// excusing has the lookout not end for as long as there is this excuse: to start
// again would not help then, and lose what is only in memory.
func (l *lookout) excusing(excuse func() error, log *slog.Logger) *lookout {
	l.excuse, l.log = excuse, log
	return l
}

// lookoutLimit is how often in a row the check fails before the lookout ends.
const lookoutLimit = 3

// Execute checks once a second.
func (l *lookout) Execute() error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	failed, excused := 0, false
	for {
		select {
		case <-tick.C:
			err := l.check(context.Background())
			if err == nil {
				failed, excused = 0, false
			} else if reason := l.excuse(); reason != nil {
				if !excused {
					l.log.Error("what is counted waits in memory until that is put right", "error", err, "reason", reason)
				}
				failed, excused = 0, true
			} else if failed++; failed == lookoutLimit {
				return err
			}
		case <-l.stop:
			return nil
		}
	}
}

// Interrupt stops the actor.
func (l *lookout) Interrupt(error) { l.once.Do(func() { close(l.stop) }) }
