package writer_test

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// A consumer can skip what it never delivered. The ledger tells, since later
// batches of the same producer came.

// Nothing is trimmed while batches are missing, and reading the stream again
// brings them.
func TestSkippedBatchesAreReadAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2, 3, 4, 5)...)
		r.stream.skip(0, 3, 4)
		r.start()
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 3})
		r.pass(time.Second)
		if held := r.stream.holds(); len(held) != 5 {
			t.Errorf("the stream holds %v, want all", held)
		}
		if r.stream.rewinds != 1 {
			t.Errorf("rewound %d times, want once", r.stream.rewinds)
		}
		r.pass(time.Minute)
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("the stream still holds %v", held)
		}
		r.counted(t, 5, 1)
		if len(r.seen.lost) > 0 {
			t.Errorf("lost %v", r.seen.lost)
		}
	})
}

// What is not in the stream either is lost. That is said once, and the service
// goes on.
func TestLostBatchesAreReportedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2, 3, 4, 5)...)
		r.stream.lose(2, 4)
		r.start()
		r.pass(time.Minute)
		if !slices.Equal(r.seen.lost, []uint64{2}) || r.stream.rewinds != 1 {
			t.Errorf("lost %v and rewound %d times, want 2 and once", r.seen.lost, r.stream.rewinds)
		}
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("the stream still holds %v", held)
		}

		// More of them are told on top.
		r.stream.publish(ones(6, 7, 8)...)
		r.stream.lose(7) // before it was looked at
		r.pass(time.Minute)
		r.store.wantValues(t, map[string]int64{"k": 3 + 2})
		if !slices.Equal(r.seen.lost, []uint64{2, 1}) || r.stream.rewinds != 2 {
			t.Errorf("lost %v and rewound %d times, want 2, then 1, and twice", r.seen.lost, r.stream.rewinds)
		}
	})
}

// Another writer may have fetched what is missing: it comes again, so it is
// not looked for at once, and nothing is trimmed meanwhile.
func TestMissingBatchesMayStillCome(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2, 3)...)
		r.stream.order = func(seqs []uint64) { copy(seqs, []uint64{1, 3}); seqs[2] = 0 } // 2 comes later
		r.start()
		r.pass(30 * time.Second)
		if held := r.stream.holds(); len(held) != 3 || r.stream.rewinds > 0 {
			t.Errorf("the stream holds %v after %d rewinds, want all and none", held, r.stream.rewinds)
		}
		r.stream.redeliver(0, 2)
		r.pass(time.Minute)
		r.store.wantValues(t, map[string]int64{"k": 3})
		if held := r.stream.holds(); len(held) > 0 || r.stream.rewinds > 0 || len(r.seen.lost) > 0 {
			t.Errorf("the stream holds %v after %d rewinds, lost %v", held, r.stream.rewinds, r.seen.lost)
		}
	})
}

// Batches are not given up before the stream has been read again: until that
// works nothing is trimmed.
func TestReadingAgainFails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2, 3)...)
		r.stream.skip(0, 2)
		r.stream.refuse("Rewind", errors.New("timeout"))
		r.start()
		r.pass(time.Minute)
		if held := r.stream.holds(); len(held) != 3 || len(r.seen.lost) > 0 {
			t.Errorf("the stream holds %v, lost %v, want all and none", held, r.seen.lost)
		}
		r.stream.allow("Rewind")
		r.pass(time.Minute)
		r.store.wantValues(t, map[string]int64{"k": 3})
		if held := r.stream.holds(); len(held) > 0 || len(r.seen.lost) > 0 {
			t.Errorf("the stream holds %v, lost %v, want none", held, r.seen.lost)
		}
	})
}

// However long it takes to read the stream again, nothing in it is lost.
func TestNothingIsLostBeforeAllIsRead(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2, 3)...)
		r.stream.order = func(seqs []uint64) { copy(seqs, []uint64{1, 3}); seqs[2] = 0 } // 2 comes later
		r.start()
		r.pass(5 * time.Minute)
		if len(r.seen.lost) > 0 || r.stream.rewinds != 1 {
			t.Errorf("lost %v after %d rewinds, want none after 1", r.seen.lost, r.stream.rewinds)
		}
		r.stream.redeliver(0, 2)
		r.pass(time.Minute)
		r.store.wantValues(t, map[string]int64{"k": 3})
		if held := r.stream.holds(); len(held) > 0 || len(r.seen.lost) > 0 {
			t.Errorf("the stream holds %v, lost %v, want none", held, r.seen.lost)
		}
	})
}

// A gap can close while another opens: what is missing then has not been looked
// for yet.
func TestOneGapIsNotTakenForAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		later := uint64(2)
		r.stream.order = func(seqs []uint64) {
			if i := slices.Index(seqs, later); i >= 0 {
				seqs[i] = 0
			}
		}
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.pass(patience)
		if r.stream.rewinds != 1 {
			t.Fatalf("rewound %d times, want once", r.stream.rewinds)
		}
		later = 4
		r.stream.fail(0, errGone)
		r.stream.publish(ones(4, 5)...)
		r.pass(10 * time.Second)
		r.store.wantValues(t, map[string]int64{"k": 4})
		if len(r.seen.lost) > 0 || r.stream.rewinds != 1 {
			t.Errorf("lost %v after %d rewinds, want none after 1", r.seen.lost, r.stream.rewinds)
		}
		r.stream.redeliver(0, 4)
		r.pass(time.Minute)
		r.store.wantValues(t, map[string]int64{"k": 5})
		if held := r.stream.holds(); len(held) > 0 || len(r.seen.lost) > 0 {
			t.Errorf("the stream holds %v, lost %v, want none", held, r.seen.lost)
		}
	})
}

// patience is longer than a writer waits for what is missing.
const patience = 45 * time.Second
