package writer_test

import (
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Under load a writer gathers, so that its transactions take a small part of
// its time and increments share rows, and yet each is committed within the
// freshness asked for.
func TestGathersUnderLoad(t *testing.T) {
	const (
		ms      = time.Millisecond
		batches = 1000 // one in each ms
		takes   = 2 * ms
	)
	inBubble(t, func(t *testing.T, r *rig) {
		r.store.takes = takes
		r.start()
		for seq := range uint64(batches) {
			r.stream.publish(ones(seq + 1)...)
			r.pass(ms)
		}
		r.pass(r.Freshness)
		r.store.wantValues(t, map[string]int64{"k": batches})
		seen := r.seen.sum()
		// A transaction, and 12 times as long of gathering, a ms more or less.
		if most := batches / (11 * 2); len(r.seen.commits) > most || seen.Rows != len(r.seen.commits) {
			t.Errorf("%d commits of %d rows, want %d of one row at most", len(r.seen.commits), seen.Rows, most)
		}
		for i, age := range seen.Freshness {
			if age > r.Freshness {
				t.Errorf("batch %d was %v old when it was committed, want %v at most", i, age, r.Freshness)
			}
		}
	})
}

// Alone, a batch is folded at once.
func TestFoldsAtOnceWhenIdle(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.store.takes = 2 * time.Millisecond
		r.start()
		for seq := range uint64(5) {
			r.stream.publish(ones(seq + 1)...)
			r.pass(time.Second)
		}
		for i, age := range r.seen.sum().Freshness {
			if age != r.store.takes {
				t.Errorf("batch %d was committed after %v, a transaction takes %v", i, age, r.store.takes)
			}
		}
	})
}

// A batch whose sender waits for the commit ends the gathering.
func TestFoldsAtOnceWhatSomebodyWaitsFor(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.store.takes = 5 * time.Millisecond
		r.start()
		r.stream.publish(ones(1)...)
		r.pass(r.store.takes)
		r.stream.publish(ones(2)...)
		r.pass(10 * time.Millisecond)
		if n := len(r.seen.commits); n != 1 {
			t.Fatalf("%d commits, want 1: the second is gathered", n)
		}
		r.stream.publish(batch(3, piccolo.Delta{Key: "k", Value: 1, WantTotal: true}))
		r.pass(r.store.takes)
		if n := len(r.seen.commits); n != 2 {
			t.Errorf("%d commits, want 2", n)
		}
		r.store.wantValues(t, map[string]int64{"k": 3})
	})
}
