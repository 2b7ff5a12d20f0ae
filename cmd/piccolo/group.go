package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/oklog/run"
)

// actor is a loop that runs until it is interrupted.
type actor interface {
	Execute() error
	Interrupt(error)
}

// group runs actors until the first ends, and then interrupts them in the order
// in which they were added. An actor whose Interrupt returns only when it has
// stopped is thereby done before the next is asked to.
type group struct {
	log      *slog.Logger
	actors   run.Group
	failed   []error       // one an actor, each written by its own goroutine
	stopping chan struct{} // closed when the first has ended
}

func newGroup(log *slog.Logger) *group {
	g := &group{log: log, stopping: make(chan struct{})}
	g.actors.Add(
		func() error { <-g.stopping; return nil },
		func(error) { close(g.stopping) },
	)
	return g
}

// signals adds an actor that ends at the first of the signals, which are caught
// from now on. The second finds nobody and kills the process.
func (g *group) signals(signals ...os.Signal) {
	caught, interrupted := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(caught, signals...)
	g.actors.Add(
		func() error {
			defer signal.Stop(caught)
			select {
			case s := <-caught:
				g.log.Info("stopping", "signal", s.String())
			case <-interrupted:
			}
			return nil
		},
		func(error) { close(interrupted) },
	)
}

// add adds an actor.
func (g *group) add(name string, a actor) {
	i := len(g.failed)
	g.failed = append(g.failed, nil)
	g.actors.Add(func() error {
		if err := a.Execute(); err != nil {
			g.failed[i] = fmt.Errorf("%s: %w", name, err)
			g.log.Error("an actor failed, stopping", "actor", name, "error", err)
		}
		return g.failed[i]
	}, a.Interrupt)
}

// run returns when every actor has, with the errors of those that failed. From
// the moment the first has ended the process has limit to be gone, with all that
// its actors shared closed; then it ends where it stands, which harms no more
// than a crash.
func (g *group) run(limit time.Duration) error {
	go func() {
		<-g.stopping
		time.Sleep(limit)
		g.log.Error("stopping took too long: what is stored is safe, the next start goes on from there", "limit", limit)
		os.Exit(exitFailed)
	}()
	_ = g.actors.Run() // the first to end says nothing of the others
	g.log.Info("stopped")
	return errors.Join(g.failed...)
}
