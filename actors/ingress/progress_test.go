package ingress_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// progress waits for a partition's progress to be as wanted.
func (d *door) progress(partition int, want piccolo.Progress) {
	d.t.Helper()
	d.until(fmt.Sprintf("progress is %+v", want), func() bool { return d.in.Progress()[partition] == want })
}

// Who has nothing to flush does not wait, and who flushes moves on.
func TestProgress(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.progress(0, piccolo.Progress{})
	for steps := range uint64(3) {
		d.acked(d.count("foo", "stored"), 200, "stored")
		d.progress(0, piccolo.Progress{Steps: steps + 1})
	}
	d.acked(d.count("foo", "memory"), 202, "memory") // stays there for an hour
	d.progress(0, piccolo.Progress{Steps: 3})
}

// A publish that never returns is seen as work that waits while nothing moves.
func TestProgressOfStuck(t *testing.T) {
	t.Parallel()
	d := open(t)
	release := make(chan struct{})
	d.stream.answers(func(context.Context, *piccolo.Message) error {
		<-release
		return nil
	})
	first := d.async(request{body: "key=foo&value=10"})
	<-d.stream.asked
	d.progress(0, piccolo.Progress{Waiting: true})
	if n, oldest := d.in.Unstored(); n != 1 || oldest <= 0 {
		t.Errorf("%d batches are not stored, the oldest for %s", n, oldest)
	}
	second := d.async(request{body: "key=bar&value=10"}) // in a batch behind it
	d.until("the second batch is not stored", func() bool { n, _ := d.in.Unstored(); return n == 2 })
	_, before := d.in.Unstored()
	d.until("the oldest waits for longer", func() bool { _, oldest := d.in.Unstored(); return oldest > before })
	close(release)
	d.acked(<-second, 200, "stored")
	d.acked(<-first, 200, "stored")
	d.progress(0, piccolo.Progress{Steps: 2})
	if n, oldest := d.in.Unstored(); n != 0 || oldest != 0 {
		t.Errorf("%d batches are not stored, the oldest for %s", n, oldest)
	}
}

// What nobody answered is told from what was clearly refused.
func TestProgressOfRefused(t *testing.T) {
	t.Parallel()
	d := open(t)
	answers := make(chan error)
	d.stream.answers(func(context.Context, *piccolo.Message) error { return <-answers })
	first := d.async(request{body: "key=foo&value=10"})
	answers <- errors.New("no answer")
	answers <- errors.New("no answer")
	d.progress(0, piccolo.Progress{Unanswered: 2, Waiting: true})
	answers <- piccolo.ErrFull
	d.progress(0, piccolo.Progress{Steps: 1, Unanswered: 2, Waiting: true})
	answers <- nil
	d.acked(<-first, 200, "stored")
	d.progress(0, piccolo.Progress{Steps: 2, Unanswered: 2})
	close(answers)
}
