package writer_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// That nothing is acked, announced or trimmed before it is committed is
// asserted by the stream, in every test.

func TestFoldAckAnnounce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.stream.publish(
			batch(1, piccolo.Delta{Key: "a", Value: 1}, piccolo.Delta{Key: "b", Value: -5}),
			batch(2, piccolo.Delta{Key: "a", Value: 10}),
		)
		r.settle()
		r.store.wantValues(t, map[string]int64{"a": 1 + 10, "b": -5})
		if n := r.stream.waiting(); n > 0 {
			t.Errorf("%d messages are not acked", n)
		}
		if got := r.announced(); !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("announced %v, want 1 and 2", got)
		}
		if c := r.seen.sum(); c.Batches != 2 || c.Increments != 2+1 || c.Duplicates != 0 || len(c.Freshness) != 2 {
			t.Errorf("observed %+v, want 2 batches of 3 increments", c)
		}
	})
}

// announced lists the seqs of all notices.
func (r *rig) announced() (seqs []uint64) {
	for _, a := range r.stream.notices {
		seqs = append(seqs, a.Seqs...)
	}
	slices.Sort(seqs)
	return seqs
}

func TestCommitThatFailsAcksNothing(t *testing.T) {
	broken := errors.New("disk I/O error")
	inBubble(t, func(t *testing.T, r *rig) {
		r.store.ends(outcome{err: broken})
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.settle()
		if err := r.over(); !errors.Is(err, broken) {
			t.Errorf("Execute returned %v, want %v", err, broken)
		}
		if n := r.stream.waiting(); n != 3 {
			t.Errorf("%d of 3 messages are not acked, want all", n)
		}
		if len(r.stream.notices) > 0 {
			t.Errorf("announced %v", r.stream.notices)
		}
		r.writer = nil
	})
}

// A commit whose outcome is unknown has happened or has not: the next process
// reads which, and either way everything counts once.
func TestCommitOfUnknownOutcome(t *testing.T) {
	for _, happened := range []bool{false, true} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.store.ends(outcome{piccolo.ErrUnknown, happened})
			r.stream.publish(ones(1, 2, 3)...)
			r.start()
			r.settle()
			if err := r.over(); !errors.Is(err, piccolo.ErrUnknown) {
				t.Errorf("Execute returned %v, want %v", err, piccolo.ErrUnknown)
			}
			r.reopen(r.path)
			r.start()
			r.settle()
			r.store.wantValues(t, map[string]int64{"k": 3})
			if n := r.stream.waiting(); n > 0 {
				t.Errorf("%d messages are not acked", n)
			}
		})
	}
}

// An ack is not durable: what comes again is acked again and announced again,
// with the totals that somebody may still be waiting for, and counts once.
func TestDuplicates(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.loseAcks = true
		r.stream.publish(batch(1, piccolo.Delta{Key: "a", Value: 7, WantTotal: true}, piccolo.Delta{Key: "b", Value: 1}))
		r.start()
		r.settle()
		r.stream.publish(batch(2, piccolo.Delta{Key: "a", Value: 100}))
		r.settle()

		r.stream.loseAcks = false
		r.stream.redeliver(0, 1, 2, 1)
		r.settle()
		r.store.wantValues(t, map[string]int64{"a": 7 + 100, "b": 1})
		if n := r.stream.waiting(); n > 0 {
			t.Errorf("%d messages are not acked", n)
		}
		if got := r.announced(); !slices.Equal(got, []uint64{1, 1, 1, 2, 2}) {
			t.Errorf("announced %v, want 1 three times and 2 twice", got)
		}
		first, last := r.stream.notices[0], r.stream.notices[len(r.stream.notices)-1]
		if first.Totals["a"] != 7 || last.Totals["a"] != 107 || len(last.Totals) != 1 {
			t.Errorf("announced the totals %v and at last %v, want a=7 and a=107", first.Totals, last.Totals)
		}
		if c := r.seen.sum(); c.Batches != 5 || c.Duplicates != 3 || c.Increments != 3 {
			t.Errorf("observed %+v, want 5 batches with 3 duplicates and 3 increments", c)
		}
	})
}

// The same batch twice in one fold is folded once.
func TestDuplicatesInOneFold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(slices.Concat(ones(1), ones(1), ones(2))...) // two messages with one id
		r.open()
		r.settle() // all wait
		r.run()
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 2})
		if len(r.seen.commits) != 1 {
			t.Errorf("%d commits, want 1", len(r.seen.commits))
		}
		if a := r.store.account("p"); a.Batches != 2 || a.Increments != 2 || a.Sum != 2 {
			t.Errorf("the account is %+v, want 2 batches", a)
		}
	})
}

// foldAtOnce has all that the stream holds folded in one commit.
func (r *rig) foldAtOnce() {
	r.t.Helper()
	r.open()
	r.settle() // all wait
	r.run()
	r.settle()
	if n := len(r.seen.commits); n != 1 {
		r.t.Fatalf("%d commits, want 1", n)
	}
}

// What is told of one commit is told in as many notices as fit into messages, a
// batch with its totals in one of them.
func TestManyTotalsAreToldInSeveralNotices(t *testing.T) {
	const each, batches = 3000, 5
	inBubble(t, func(t *testing.T, r *rig) {
		for seq := range batches {
			var wanted []piccolo.Delta
			for i := range each {
				wanted = append(wanted, piccolo.Delta{Key: fmt.Sprintf("key-%d-%d", seq, i), Value: int64(seq + 1), WantTotal: true})
			}
			r.stream.publish(batch(uint64(seq+1), wanted...))
		}
		r.foldAtOnce()
		told := make(map[uint64]bool)
		for _, a := range r.stream.notices {
			if len(a.Totals) > 2*each {
				t.Errorf("a notice of batches %v has %d totals", a.Seqs, len(a.Totals))
			}
			for _, seq := range a.Seqs {
				told[seq] = true
				for i := range each {
					key := fmt.Sprintf("key-%d-%d", seq-1, i)
					if total := a.Totals[key]; total != int64(seq) {
						t.Fatalf("the notice of batch %d says %s = %d, want %d", seq, key, total, seq)
					}
				}
			}
		}
		if len(told) != batches || len(r.stream.notices) != 3 {
			t.Errorf("%d batches were told of in %d notices, want %d in 3", len(told), len(r.stream.notices), batches)
		}
	})
}

// Long keys take more room than many, so that bytes are what is counted: a server may
// take messages of no more than 1 MiB, as which one batch has come.
func TestNoticesFitIntoMessages(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		sizes := append(slices.Repeat([]int{100}, 12), 1800, 100, 100) // totals of 512 bytes
		for seq, size := range sizes {
			var wanted []piccolo.Delta
			for i := range size {
				wanted = append(wanted, piccolo.Delta{Key: fmt.Sprintf("%d-%0*d", seq, 510-len(fmt.Sprint(seq)), i), Value: math.MinInt64, WantTotal: true})
			}
			r.stream.publish(batch(uint64(seq+1), wanted...))
		}
		r.foldAtOnce()
		told := make(map[uint64]int)
		for _, a := range r.stream.notices {
			bytes := len(piccolo.AppendApplied(nil, &a))
			if bytes > 1<<20 || bytes > 256<<10 && len(a.Seqs) > 1 {
				t.Errorf("a notice of batches %v takes %d bytes", a.Seqs, bytes)
			}
			for _, seq := range a.Seqs {
				told[seq] = len(a.Totals) / len(a.Seqs)
			}
		}
		for i, size := range sizes {
			if seq := uint64(i + 1); told[seq] != size {
				t.Errorf("of batch %d %d totals are told, want %d", seq, told[seq], size)
			}
		}
		if n := len(r.stream.notices); n != 12/4+1+1 {
			t.Errorf("%d notices, want 3 of four batches, 1 of a large one, and 1 of two", n)
		}
	})
}

// A notice that cannot be sent is no reason to stop: a producer that misses
// it has its batch in the stream.
func TestNoticesMayBeLost(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.refuse("Announce", errors.New("not connected"))
		r.stream.publish(ones(1, 2)...)
		r.start()
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 2})
	})
}
