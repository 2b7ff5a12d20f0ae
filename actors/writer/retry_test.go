package writer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// A full disk and a locked database are waited for, and what was fetched is
// folded once.
func TestTroubleThatPasses(t *testing.T) {
	for _, trouble := range []error{piccolo.ErrNoRoom, piccolo.ErrLocked} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.store.ends(outcome{err: trouble}, outcome{err: trouble}, outcome{err: trouble})
			r.stream.publish(ones(1, 2, 3)...)
			r.start()
			r.settle()
			if n := r.stream.waiting(); n != 3 {
				t.Errorf("%d of 3 messages are not acked, want all", n)
			}
			r.stream.publish(ones(4)...)
			r.pass(100*time.Millisecond + 200*time.Millisecond + 400*time.Millisecond)
			r.store.wantValues(t, map[string]int64{"k": 4})
			if a := r.store.account("p"); a.Batches != 4 {
				t.Errorf("the account is %+v, want 4 batches", a)
			}
			if n := r.stream.waiting(); n > 0 {
				t.Errorf("%d messages are not acked", n)
			}
		})
	}
}

// Before it tries again the writer reads the ledger again: who knows what the
// database kept.
func TestTroubleThatLeftTheCommit(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.store.ends(outcome{err: piccolo.ErrNoRoom, happened: true})
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.pass(time.Second)
		r.store.wantValues(t, map[string]int64{"k": 3})
		if n := r.stream.waiting(); n > 0 {
			t.Errorf("%d messages are not acked", n)
		}
	})
}

// A stop does not wait for a disk: the stream keeps what was not committed.
func TestStopInTrouble(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for range 100 {
			r.store.ends(outcome{err: piccolo.ErrNoRoom})
		}
		r.stream.publish(ones(1, 2)...)
		r.start()
		r.settle()
		start := time.Now()
		if err := r.stop(); !errors.Is(err, piccolo.ErrNoRoom) {
			t.Errorf("Execute returned %v, want %v", err, piccolo.ErrNoRoom)
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("it waited for %v", waited)
		}
		if n := r.stream.waiting(); n != 2 {
			t.Errorf("%d of 2 messages are not acked, want both", n)
		}
	})
}
