package writer_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// again stops the writer and starts it with the database at path.
func (r *rig) again(path string) {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Fatal(err)
	}
	r.reopen(path)
	r.start()
	r.pass(2 * time.Second)
}

// A backup lacks what was folded after it was made, and where nothing is retained
// the stream lacks it too: nothing else could tell, and the sums are short. It is
// said once, with how many batches that may be.
func TestRestoredAndNothingRetained(t *testing.T) {
	for _, others := range []int{0, 3} { // batches of another partition of this writer
		inBubble(t, func(t *testing.T, r *rig) {
			var log bytes.Buffer
			r.Log = slog.New(slog.NewTextHandler(&log, nil))
			if others > 0 {
				r.Partitions, r.Of = []int{0, 1}, 2
			}
			backup := filepath.Join(t.TempDir(), "backup.db")
			r.stream.publish(ones(1, 2)...)
			r.start()
			r.pass(2 * time.Second)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r.backUp(backup)
			r.start()
			r.stream.publish(ones(3, 4)...)
			for seq := range others {
				r.stream.publish(on(1, batch(uint64(seq+1))))
			}
			r.pass(2 * time.Second)
			if r.seen.gone != 0 {
				t.Errorf("nothing is lost, and reported are %d", r.seen.gone)
			}
			log.Reset()
			r.again(backup)
			if got, want := r.seen.gone, uint64(2+others); got != want {
				t.Errorf("reported as lost: %d batches, want %d", got, want)
			}
			if text := log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "fromStreamSeq=3 ") {
				t.Errorf("the log does not say it: %s", text)
			}
			r.store.wantValues(t, map[string]int64{"k": 2})

			r.stream.publish(ones(5)...)
			r.pass(5 * time.Minute)
			r.again(backup)
			if got, want := r.seen.gone, uint64(2+others); got != want {
				t.Errorf("later, reported as lost: %d batches, want %d", got, want)
			}
			r.store.wantValues(t, map[string]int64{"k": 3})
		})
	}
}

// What the stream retains of it is read again, and the rest is reported.
func TestRestoredAndSomeRetained(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		backup := filepath.Join(t.TempDir(), "backup.db")
		r.Retain = time.Minute
		r.stream.publish(ones(1)...)
		r.start()
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.backUp(backup)
		r.start()
		r.stream.publish(ones(2, 3)...)
		r.pass(50 * time.Second)
		r.stream.publish(ones(4, 5, 6)...)
		r.pass(20 * time.Second)
		r.again(backup)
		r.pass(5 * time.Minute)
		r.store.wantValues(t, map[string]int64{"k": 4})
		if got := r.seen.gone; got != 2 {
			t.Errorf("reported as lost: %d batches, want 2", got)
		}
		if r.seen.rewound == 0 {
			t.Error("what the stream retains was not read again")
		}
	})
}

// What belongs to other databases is missing by rights, and what is trimmed
// while the writer is away was folded by it.
func TestNothingIsGone(t *testing.T) {
	for _, partitions := range [][]int{{0}, {0, 1}} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.Partitions, r.Of = partitions, 2
			r.start()
			for seq := range uint64(9) {
				if seq%3 == 0 {
					r.stream.publish(ones(seq/3 + 1)...)
				}
				r.stream.publish(on(1, batch(seq+1)))
				if len(partitions) == 1 {
					r.stream.lose(r.stream.last) // its writer has folded and trimmed it
				}
				r.pass(2 * time.Second)
				r.again(r.path)
			}
			r.store.wantValues(t, map[string]int64{"k": 3})
			if got := r.seen.gone; got != 0 {
				t.Errorf("reported as lost: %d batches, and none is", got)
			}
			if held := r.stream.holds(); len(held) > 0 {
				t.Errorf("the stream holds %v", held)
			}
		})
	}
}

// A partition whose batches had all been folded and trimmed when the stream was
// rolled back has nothing to be read again, and lacks nothing, also once what
// another one still had there is trimmed.
func TestNothingIsGoneAfterARollBack(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Partitions, r.Of = []int{0, 1}, 2
		r.stream.loseAcks = true
		r.stream.publish(ones(1)...)
		r.start()
		r.settle()
		r.stream.loseAcks = false
		for seq := range uint64(3) {
			r.stream.publish(on(1, batch(seq+1)))
		}
		r.pass(2 * time.Second)
		if held := r.stream.holds(); !slices.Equal(held, []uint64{1}) {
			t.Fatalf("the stream holds %v, want what was not acked, 1", held)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.stream.rollBack(3)
		r.start()
		r.pass(2 * time.Second)
		if r.seen.rewound == 0 {
			t.Error("that the stream was rolled back was not noticed")
		}
		r.again(r.path)
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("the stream holds %v", held)
		}
		if got := r.seen.gone; got != 0 {
			t.Errorf("reported as lost: %d batches, and none is", got)
		}
		r.store.wantValues(t, map[string]int64{"k": 1})
	})
}
