package main

import (
	"context"
	"sync"
	"time"
)

// lookout is an actor that ends when a check goes on failing. Once is not enough:
// a server that is about to make or delete a stream finds itself unhealthy for
// that moment.
type lookout struct {
	check func(context.Context) error
	stop  chan struct{}
	once  sync.Once
}

func newLookout(check func(context.Context) error) *lookout {
	return &lookout{check: check, stop: make(chan struct{})}
}

// lookoutLimit is how often in a row the check fails before the lookout ends.
const lookoutLimit = 3

// Execute checks once a second.
func (l *lookout) Execute() error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	failed := 0
	for {
		select {
		case <-tick.C:
			err := l.check(context.Background())
			if err == nil {
				failed = 0
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
