package writer_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/writer"
)

// Stream and database can get out of step: a disk flips a bit, a stream is
// deleted, a backup is restored. Then everything that the stream holds is read
// again, once, and the ledger sees to it that it counts once.

// counted is what the writer must have come to: k at want, all acked, and the
// stream read again this often.
func (r *rig) counted(t *testing.T, want int64, rewound int) {
	t.Helper()
	r.store.wantValues(t, map[string]int64{"k": want})
	if n := r.stream.waiting(); n > 0 {
		t.Errorf("%d messages are not acked", n)
	}
	if r.seen.rewound != rewound || r.stream.rewinds != rewound {
		t.Errorf("rewound %d times and said so %d times, want %d", r.stream.rewinds, r.seen.rewound, rewound)
	}
}

func TestStreamRolledBackBeforeTheStart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.stream.publish(ones(1, 2, 3, 4, 5)...)
		r.start()
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.stream.rollBack(3)
		r.stream.publish(ones(6)...) // gets StreamSeq 4, which has been acked
		r.reopen(r.path)
		r.start()
		r.settle()
		r.counted(t, 6, 1)
		r.pass(time.Minute)
		r.stream.publish(ones(7)...)
		r.settle()
		r.counted(t, 7, 1)
	})
}

// A server that finds the consumer beyond the end of the stream takes it back
// too. That hides nothing: the position tells.
func TestStreamRolledBackWithItsConsumer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.stream.publish(ones(1, 2, 3, 4, 5)...)
		r.start()
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.stream.rollBack(3)
		r.stream.forget(0, 4, 5)
		r.reopen(r.path)
		r.start()
		r.stream.publish(ones(6)...)
		r.settle()
		r.counted(t, 6, 1)
	})
}

func TestStreamRolledBackWhileRunning(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.stream.publish(ones(1, 2, 3, 4, 5)...)
		r.start()
		r.settle()
		r.stream.rollBack(2)
		r.pass(3 * time.Second)
		r.stream.publish(ones(6, 7)...) // StreamSeqs 3 and 4
		r.settle()
		r.counted(t, 7, 1)
	})
}

func TestStreamMadeAnewBeforeTheStart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.stream.remove()
		r.stream.create(aDay.Add(time.Microsecond))
		r.stream.publish(ones(3, 4, 5, 6)...) // beyond the end of the one before
		r.reopen(r.path)
		r.start()
		r.settle()
		r.counted(t, 6, 1)
		r.pass(time.Minute)
		r.counted(t, 6, 1)
	})
}

// A message of the stream before may still be on its way. It counts, and it
// does not take the position back to where it came from.
func TestLateFromTheStreamBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1)...)
		r.start()
		r.settle()
		before := r.stream.consumers[0].current
		r.stream.remove()
		r.stream.create(time.Now())
		r.stream.publish(ones(2)...)
		r.pass(3 * time.Second)
		r.counted(t, 2, 1)

		late := message{streamSeq: 9, data: piccolo.AppendBatch(nil, ones(3)[0])}
		before.deliver(piccolo.Delivery{
			StreamSeq: late.streamSeq, Created: aDay, Stored: time.Now(), Data: late.data, Acker: &acker{r.stream, aDay, late},
		})
		r.pass(time.Minute)
		r.counted(t, 3, 1)
	})
}

// The same stream is no other one, though the database keeps less of its time.
func TestStreamThatStayed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.stream.publish(ones(1, 2, 3)...)
		for range 3 {
			r.start()
			r.pass(time.Minute)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r.reopen(r.path)
		}
		r.counted(t, 3, 0)
	})
}

func TestDatabaseIsNew(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.reopen(filepath.Join(t.TempDir(), "new.db"))
		r.stream.publish(ones(4)...)
		r.start()
		r.settle()
		r.counted(t, 4, 1)
		r.pass(time.Minute)
		r.counted(t, 4, 1)
	})
}

// A backup lacks what was folded after it was made.
func TestDatabaseWasRestored(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		backup := filepath.Join(t.TempDir(), "backup.db")
		r.stream.publish(ones(1, 2)...)
		r.start()
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.backUp(backup)
		r.stream.publish(ones(3, 4)...)
		r.start()
		r.settle()
		r.counted(t, 4, 0)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.reopen(backup)
		r.start()
		r.settle()
		r.counted(t, 4, 1)
	})
}

// The ack floor passes what belongs to other partitions, which says nothing
// about the database.
func TestOtherPartitionsRunAhead(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for seq := range uint64(5) {
			r.stream.publish(on(1, batch(seq+1))) // whose writer is away
			r.stream.publish(ones(seq + 1)...)
			r.stream.publish(on(1, batch(seq+100)))
		}
		for range 2 {
			r.start()
			r.pass(time.Minute)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r.reopen(r.path)
		}
		r.store.wantValues(t, map[string]int64{"k": 5})
		if r.seen.rewound > 0 {
			t.Errorf("rewound %d times", r.seen.rewound)
		}
		if held := r.stream.holds(); len(held) != 2*5 {
			t.Errorf("the stream holds %v, want the 10 of partition 1", held)
		}
	})
}

// What comes again after a start does not take the position back to where it
// once was.
func TestAgainAfterAStart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.start()
		r.stream.loseAcks = true
		r.stream.publish(ones(1)...)
		r.settle()
		r.stream.loseAcks = false
		r.stream.publish(ones(2, 3)...)
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.reopen(r.path)
		r.start() // and gets 1
		r.pass(time.Minute)
		r.counted(t, 3, 0)
	})
}

// A stream that cannot be read again now is tried again; a database that fails
// ends the writer, wherever that shows.
func TestReadingAgainInTrouble(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.settle()
		r.stream.rollBack(1)
		r.stream.refuse("Rewind", errors.New("timeout"))
		r.pass(time.Minute)
		r.stream.allow("Rewind")
		r.stream.publish(ones(4)...)
		r.store.ends(outcome{err: piccolo.ErrNoRoom}) // passes
		r.pass(time.Minute)
		r.counted(t, 4, 1)
	})
	for _, running := range []bool{false, true} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.stream.publish(ones(1, 2, 3)...)
			r.start()
			r.settle()
			r.stream.rollBack(1)
			if !running {
				r.stream.fail(0, errGone)
			}
			r.store.ends(outcome{err: piccolo.ErrFenced})
			r.pass(2 * time.Second)
			select {
			case err := <-r.ended:
				if !errors.Is(err, piccolo.ErrFenced) {
					t.Errorf("Execute returned %v, want %v", err, piccolo.ErrFenced)
				}
				r.writer = nil
			default:
				t.Error("the writer goes on without its database")
			}
		})
	}
}

// What cannot be told is not taken to fit: it could be trimmed then.
func TestNobodyCanTell(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.reopen(filepath.Join(t.TempDir(), "new.db"))
		r.Retain = 0
		r.stream.refuse("Next", errGone)
		if w, err := writer.Open(t.Context(), r.Config); !errors.Is(err, errGone) {
			t.Fatalf("got %v, error %v, want %v", w, err, errGone)
		}
		r.stream.allow("Next")
		r.start()
		r.settle()
		r.counted(t, 3, 1)
	})
}

// A stream that was found to have been rolled back is read again, even if it
// has grown by the time that this can be done.
func TestRolledBackAndGrown(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.settle()
		r.stream.rollBack(1)
		r.stream.refuse("Rewind", errGone)
		r.pass(2 * time.Second)
		r.stream.publish(ones(4, 5)...) // StreamSeqs 2 and 3, which have been acked
		r.stream.allow("Rewind")
		r.pass(2 * time.Second)
		r.counted(t, 5, 1)
	})
}

// A stream can be rolled back beyond what is in the database, and a consumer
// have been there.
func TestRolledBackBehindThePosition(t *testing.T) {
	for _, running := range []bool{true, false} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.Retain = time.Hour
			r.stream.publish(ones(1)...)
			r.stream.publish(on(1, batch(1)), on(1, batch(2))) // whose writer is away
			r.start()
			r.pass(time.Second)
			if !running {
				if err := r.stop(); err != nil {
					t.Fatal(err)
				}
				r.reopen(r.path)
			}
			r.stream.skip(0, 2, 3)
			r.stream.rollBack(1)
			if !running {
				r.start()
			}
			r.pass(time.Second)
			r.stream.publish(ones(2)...) // StreamSeq 2
			r.settle()
			r.counted(t, 2, 1)
		})
	}
}

// endless is a stream that ends before what has been acked, whatever is done.
type endless struct{ *stream }

func (s endless) State(ctx context.Context, partition int) (piccolo.StreamState, error) {
	state, err := s.stream.State(ctx, partition)
	state.LastSeq, state.AckFloor = 1, 3
	return state, err
}

// What does not help is tried again, but not at once, over and over.
func TestReadingAgainDoesNotHelp(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Retain = time.Hour
		r.stream.publish(ones(1, 2, 3)...)
		r.start()
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.reopen(r.path)
		r.Stream = endless{r.stream}
		r.start()
		r.pass(10 * time.Second)
		r.counted(t, 3, r.stream.rewinds)
		if n := r.stream.rewinds; n < 2 || n > 11 {
			t.Errorf("rewound %d times in 10 s", n)
		}
	})
}

// What the server says that it could not read is reported, once, however often
// it says so, and again when there is more.
func TestDamageIsReportedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.damaged = 300
		r.start()
		r.pass(3 * time.Second)
		r.stream.mu.Lock()
		r.stream.damaged = 500
		r.stream.mu.Unlock()
		r.pass(3 * time.Second)
		if got, want := r.seen.damaged, []uint64{300, 200}; !slices.Equal(got, want) {
			t.Errorf("damage of %v bytes is reported, want %v", got, want)
		}
	})
}
