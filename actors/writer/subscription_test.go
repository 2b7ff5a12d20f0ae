package writer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/writer"
)

var errGone = errors.New("consumer deleted")

// A subscription that ends by itself is made again within a second.
func TestSubscribesAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		provisioned := 0
		r.Provision = func(context.Context) error { provisioned++; return nil }
		r.start()
		r.stream.publish(ones(1)...)
		r.settle()
		r.stream.fail(0, errGone)
		r.stream.publish(ones(2)...)
		r.pass(time.Second)
		r.store.wantValues(t, map[string]int64{"k": 2})
		if r.stream.subscribed != 2 || provisioned != 1 {
			t.Errorf("subscribed %d times and provisioned %d times, want 2 and 1", r.stream.subscribed, provisioned)
		}
	})
}

// While it is not subscribed a writer says that it is not ready.
func TestCheck(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Partitions = []int{0, 1}
		r.start()
		r.settle()
		if err := r.writer.Check(t.Context()); err != nil {
			t.Errorf("not ready: %v", err)
		}
		r.stream.refuse("Subscribe", errors.New("timeout"))
		r.stream.fail(1, errGone)
		r.pass(2 * time.Second)
		if err := r.writer.Check(t.Context()); err == nil {
			t.Error("ready with one of two partitions")
		}
		r.stream.allow("Subscribe")
		r.pass(time.Second)
		if err := r.writer.Check(t.Context()); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}

// A server in this process that gives no answer is not waited for without end.
// One that says no, or answers now and then, has not gone silent.
func TestSilentStreamEndsTheWriter(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Silence = time.Minute
		r.start()
		r.stream.publish(ones(1)...)
		r.settle()
		silence := fmt.Errorf("stream PICCOLO: %w", context.DeadlineExceeded)
		for _, c := range []struct {
			method string
			err    error
		}{{"State", silence}, {"Subscribe", errors.New("consumer not found")}, {"Subscribe", silence}} {
			r.stream.refuse(c.method, c.err)
			r.stream.fail(0, errGone)
			r.pass(50 * time.Second)
			r.stream.allow(c.method)
			r.pass(2 * time.Second)
		}
		r.stream.refuse("Subscribe", errors.New("consumer not found"))
		r.stream.fail(0, errGone)
		r.pass(time.Hour)
		r.stream.allow("Subscribe")
		r.pass(2 * time.Second)
		r.stream.publish(ones(2)...)
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 2})

		r.stream.refuse("State", silence)
		r.stream.refuse("Subscribe", silence)
		r.pass(2 * time.Minute)
		if err := r.over(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the writer ended with %v, want that the server does not answer", err)
		}
		r.die()
	})
}

// One elsewhere is waited for.
func TestSilentStreamIsWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.stream.publish(ones(1)...)
		r.settle()
		r.stream.refuse("State", context.DeadlineExceeded)
		r.stream.refuse("Subscribe", context.DeadlineExceeded)
		r.pass(time.Hour)
		r.stream.allow("State")
		r.stream.allow("Subscribe")
		r.stream.publish(ones(2)...)
		r.pass(2 * time.Second)
		r.store.wantValues(t, map[string]int64{"k": 2})
	})
}

// A stream that is deleted is made again and counted from its start.
func TestStreamIsProvisioned(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		failures := 2
		r.Provision = func(context.Context) error {
			if failures--; failures >= 0 {
				return errors.New("no quorum")
			}
			r.stream.create(time.Now())
			return nil
		}
		r.stream.publish(ones(1, 2)...)
		r.start()
		r.settle()
		r.stream.remove()
		r.pass(10 * time.Second)
		r.stream.publish(ones(2, 3)...)
		r.settle()
		r.counted(t, 3, 1)
		r.pass(time.Minute)
		r.counted(t, 3, 1)
	})
}

// Without Provision a stream that is deleted is the operator's to make.
func TestStreamIsMadeByTheOperator(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1)...)
		r.start()
		r.settle()
		r.stream.remove()
		r.pass(time.Minute)
		r.stream.create(time.Now())
		r.stream.publish(ones(2)...)
		r.pass(3 * time.Second)
		r.counted(t, 2, 1)
	})
}

// A subscription to a stream that is gone may say nothing for ever.
func TestStreamVanishes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.settle()
		r.stream.vanish()
		r.pass(time.Minute)
		r.stream.create(time.Now())
		r.stream.publish(ones(1)...)
		r.pass(3 * time.Second)
		r.counted(t, 1, 0)
	})
}

// A state that cannot be read may mean that the stream is gone.
func TestStateCannotBeRead(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.settle()
		r.stream.refuse("State", errors.New("timeout"))
		r.pass(10 * time.Second)
		r.stream.allow("State")
		r.stream.publish(ones(1)...)
		r.pass(2 * time.Second)
		r.counted(t, 1, 0)
	})
}

func TestOpenFails(t *testing.T) {
	for _, method := range []string{"Subscribe", "State"} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.Partitions = []int{0, 1, 2}
			r.stream.refuse(method, errGone)
			if w, err := writer.Open(t.Context(), r.Config); !errors.Is(err, errGone) {
				t.Errorf("%s: got %v, error %v, want %v", method, w, err, errGone)
			}
			for partition, c := range r.stream.consumers {
				if c.current != nil {
					t.Errorf("%s: partition %d is still subscribed to", method, partition)
				}
			}
		})
	}
}

// A partition that another writer has taken over, or that belongs to another
// database, is not waited for.
func TestPartitionIsAnothers(t *testing.T) {
	for method, err := range map[string]error{"State": piccolo.ErrFenced, "Subscribe": piccolo.ErrOwned} {
		t.Run(method, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.start()
				r.settle()
				r.stream.refuse(method, err)
				if method == "Subscribe" {
					r.stream.fail(0, errGone)
				}
				r.pass(time.Second)
				if got := <-r.ended; !errors.Is(got, err) {
					t.Errorf("the writer ended with %v, want %v", got, err)
				}
				r.die()
			})
		})
	}
}
