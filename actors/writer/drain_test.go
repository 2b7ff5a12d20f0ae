package writer_test

import (
	"errors"
	"testing"
	"time"
)

// A stop folds what the stream held when it began.
func TestStopFoldsWhatIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.store.takes = time.Millisecond
		r.start()
		for seq := range uint64(600) { // more than wait in the writer's hands
			r.stream.publish(ones(seq + 1)...)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.counted(t, 600, 0)
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("the stream holds %v", held)
		}
	})
}

// What does not come within DrainTimeout stays in the stream, and is the next
// process's.
func TestStopHasADeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2)...)
		r.stream.order = func(seqs []uint64) { seqs[1] = 0 } // 2 was fetched by somebody else
		r.start()
		r.settle()
		start := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != r.DrainTimeout {
			t.Errorf("it took %v, want %v", took, r.DrainTimeout)
		}
		r.store.wantValues(t, map[string]int64{"k": 1})
		r.stream.order = nil
		r.start()
		r.settle()
		r.counted(t, 2, 0)
	})
}

// Publishers that go on do not keep a writer from stopping.
func TestStopWhilePublishingGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		done := make(chan struct{})
		published := make(chan uint64)
		go func() {
			seq := uint64(0)
			for {
				seq++
				r.stream.publish(ones(seq)...)
				select {
				case <-time.After(time.Millisecond):
				case <-done:
					published <- seq
					return
				}
			}
		}()
		r.pass(100 * time.Millisecond)
		start := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took >= r.DrainTimeout {
			t.Errorf("it took %v", took)
		}
		close(done)
		total := <-published
		r.start()
		r.settle()
		r.counted(t, int64(total), 0)
	})
}

// A commit that fails while stopping is no clean stop.
func TestStopFails(t *testing.T) {
	broken := errors.New("disk I/O error")
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.settle()
		r.store.ends(outcome{err: broken})
		r.stream.publish(ones(1)...)
		if err := r.stop(); !errors.Is(err, broken) {
			t.Errorf("Execute returned %v, want %v", err, broken)
		}
	})
}

// Without a stream there is nothing to wait for.
func TestStopWithoutAStream(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.settle()
		r.stream.remove()
		r.pass(2 * time.Second)
		start := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A stop does not trim a stream that was rolled back: its numbers stand for
// other batches now.
func TestStopAfterARollBack(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.settle()
		r.stream.rollBack(1)
		r.stream.fail(0, errGone)
		r.stream.publish(ones(4)...) // StreamSeq 2, which has been acked
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.reopen(r.path)
		r.start()
		r.settle()
		r.counted(t, 4, 1)
	})
}
