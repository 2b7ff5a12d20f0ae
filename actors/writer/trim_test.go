package writer_test

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// That a trim never goes beyond the ack floor, nor takes what is not
// committed, is asserted by the stream.

// Within a second the stream is rid of what has been committed.
func TestTrim(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.stream.publish(ones(1, 2, 3)...)
		r.pass(time.Second)
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("the stream holds %v", held)
		}
		r.pass(time.Minute)
		if len(r.stream.trims) != 1 {
			t.Errorf("trimmed %v, want once while nothing happens", r.stream.trims)
		}
	})
}

// What is not acked stays, and what is behind it.
func TestTrimStopsAtTheAckFloor(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.stream.publish(ones(1, 2)...)
		r.settle()
		r.stream.loseAcks = true
		r.stream.publish(ones(3)...)
		r.settle()
		r.stream.loseAcks = false
		r.stream.publish(ones(4)...)
		r.pass(time.Minute)
		if held := r.stream.holds(); !slices.Equal(held, []uint64{3, 4}) {
			t.Errorf("the stream holds %v, want 3 and 4", held)
		}
		r.stream.redeliver(0, 3)
		r.pass(time.Second)
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("the stream holds %v", held)
		}
	})
}

// Retain is how long committed batches stay to be replayed.
func TestTrimRetains(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = 10 * time.Second
		r.start()
		for seq := range uint64(3) {
			r.stream.publish(ones(seq + 1)...)
			r.pass(5 * time.Second)
		}
		// 15 s: committed at 0, 5 and 10 s, and seen so within a second.
		if held := r.stream.holds(); !slices.Equal(held, []uint64{2, 3}) {
			t.Errorf("after 15 s the stream holds %v, want 2 and 3", held)
		}
		r.pass(5 * time.Second)
		if held := r.stream.holds(); !slices.Equal(held, []uint64{3}) {
			t.Errorf("after 20 s the stream holds %v, want 3", held)
		}
		r.pass(6 * time.Second)
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("after 26 s the stream holds %v", held)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// A writer that is started again more often than that trims all the same, and
// not too early.
func TestTrimRetainsAcrossStarts(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = 10 * time.Second
		r.start()
		for seq := range uint64(30) {
			r.stream.publish(ones(seq + 1)...)
			r.pass(2 * time.Second)
			if seq%3 == 2 {
				if err := r.stop(); err != nil {
					t.Fatal(err)
				}
				r.reopen(r.path)
				r.start()
				r.settle()
			}
			if held := r.stream.holds(); seq >= 7 && (len(held) < 4 || len(held) > 6) {
				t.Errorf("after %d s the stream holds %v, want those of the last 10 s", 2*(seq+1), held)
			}
		}
	})
}

// Where that cannot be told, what was there at the start is retained from then.
func TestTrimRetainsWhatCannotBeTold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = 10 * time.Second
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.pass(9 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.reopen(r.path)
		r.stream.refuse("Stored", errGone)
		r.start()
		r.pass(9 * time.Second)
		if held := r.stream.holds(); len(held) != 3 {
			t.Errorf("the stream holds %v, want all", held)
		}
		r.pass(3 * time.Second)
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("the stream holds %v", held)
		}
	})
}

// A stop trims what it folded, but not what is to be retained.
func TestTrimAtTheEnd(t *testing.T) {
	for retain, want := range map[time.Duration]int{0: 0, time.Second: 3} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.Retain = retain
			r.stream.publish(ones(1, 2, 3)...)
			r.start()
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			if held := r.stream.holds(); len(held) != want {
				t.Errorf("retain %v: the stream holds %v, want %d", retain, held, want)
			}
		})
	}
}

func TestTrimFails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.refuse("Trim", errors.New("timeout"))
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.pass(time.Minute)
		if held := r.stream.holds(); len(held) != 3 {
			t.Errorf("the stream holds %v", held)
		}
		r.stream.allow("Trim")
		r.pass(time.Second)
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("the stream holds %v", held)
		}
	})
}

// What could not be trimmed when it was time is trimmed as soon as that works, and
// not when something else is due.
func TestTrimFailsWhenItIsTime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.start()
		r.stream.publish(ones(1)...)
		r.pass(30 * time.Minute)
		r.stream.publish(ones(2)...)
		r.stream.refuse("Trim", errors.New("timeout"))
		r.pass(31 * time.Minute)
		r.stream.allow("Trim")
		r.pass(time.Second)
		if held := r.stream.holds(); !slices.Equal(held, []uint64{2}) {
			t.Errorf("the stream holds %v, want 2", held)
		}
	})
}

// A server forgets acks, and its ack floor falls behind what is to be trimmed
// by now.
func TestTrimStopsAtTheAckFloorOfToday(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = 10 * time.Second
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.pass(2 * time.Second)
		r.stream.forget(0, 2)
		r.pass(time.Minute)
		if held := r.stream.holds(); !slices.Equal(held, []uint64{2, 3}) {
			t.Errorf("the stream holds %v, want 2 and 3", held)
		}
	})
}
