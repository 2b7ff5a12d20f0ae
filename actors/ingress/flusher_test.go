package ingress

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// tester is a test or a check of a property.
type tester interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// outlet is a Publisher that sees to it that one message is on its way at a
// time, and that nothing but the same message follows one that failed.
type outlet struct {
	t      tester
	answer func(ctx context.Context, try int) error // nil: it is stored

	mu     sync.Mutex
	flying bool
	failed *piccolo.Message // its outcome is unknown
	tries  int
	stored []piccolo.Batch
	data   [][]byte
}

func (o *outlet) Publish(ctx context.Context, m *piccolo.Message) error {
	o.mu.Lock()
	if o.flying {
		o.t.Errorf("batch %s published while another is on its way", m.ID)
	}
	if f := o.failed; f != nil && (f.ID != m.ID || !bytes.Equal(f.Data, m.Data) || f.Keys != m.Keys || f.Increments != m.Increments) {
		o.t.Errorf("batch %s of %d increments follows %s of %d, whose outcome is unknown", m.ID, m.Increments, f.ID, f.Increments)
	}
	o.flying = true
	try := o.tries
	o.tries++
	o.mu.Unlock()

	var err error
	if o.answer != nil {
		err = o.answer(ctx, try)
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	o.flying = false
	if err != nil {
		o.failed = &piccolo.Message{ID: m.ID, Keys: m.Keys, Increments: m.Increments, Data: bytes.Clone(m.Data)}
		return err
	}
	o.failed, o.tries = nil, 0
	var b piccolo.Batch
	data := bytes.Clone(m.Data)
	if err := piccolo.DecodeBatch(data, &b); err != nil {
		o.t.Errorf("batch %s: %v", m.ID, err)
	}
	if want := uint64(len(o.stored) + 1); b.BatchID != m.ID || b.Seq != want || b.Increments != m.Increments || len(b.Deltas) != m.Keys {
		o.t.Errorf("message %s of %d keys and %d increments is batch %s of %d and %d, want seq %d",
			m.ID, m.Keys, m.Increments, b.BatchID, len(b.Deltas), b.Increments, want)
	}
	if b.Accepted.IsZero() {
		o.t.Errorf("batch %s does not say when it was accepted", m.ID)
	}
	o.stored = append(o.stored, b)
	o.data = append(o.data, data)
	return nil
}

// batches says what is stored, by the values of each batch in ascending order.
func (o *outlet) batches() (values [][]int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range o.stored {
		var v []int64
		for _, d := range b.Deltas {
			v = append(v, d.Value)
		}
		slices.Sort(v)
		values = append(values, v)
	}
	return values
}

type flushes struct{ seen []piccolo.Flush }

func (f *flushes) Flushed(flush piccolo.Flush) { f.seen = append(f.seen, flush) }

// running is a flusher at work in a bubble of fake time.
type running struct {
	t tester
	*flusher
	out   *outlet
	seen  *flushes
	start time.Time
	halt  func() []piccolo.Message // returns what is left
	abort context.CancelFunc       // the deadline of the stop
}

const interval = 20 * time.Millisecond

// run starts a flusher that ends with the test at the latest.
func run(t *testing.T, r *reducer, answer func(context.Context, int) error) *running {
	t.Helper()
	f := start(t, r, answer)
	t.Cleanup(func() { f.abort(); f.halt() })
	return f
}

func start(t tester, r *reducer, answer func(context.Context, int) error) *running {
	out, seen := &outlet{t: t, answer: answer}, new(flushes)
	f := &flusher{
		storer:  storer{bus: out, observer: seen, log: slog.New(slog.DiscardHandler), state: new(atomic.Pointer[error])},
		reducer: r, head: r.tail.Load(), pace: newPace(interval, 0), waiting: newWaiting(time.Minute),
	}
	ctx, abort := context.WithCancel(context.Background())
	stop, left := make(chan struct{}), make(chan []piccolo.Message, 1)
	go func() { left <- f.run(ctx, stop) }()
	halt := sync.OnceValue(func() []piccolo.Message {
		defer abort()
		r.close()
		close(stop)
		return <-left
	})
	return &running{t, f, out, seen, time.Now(), halt, abort}
}

// after checks what is stored once d of fake time has passed since the start.
func (r *running) after(d time.Duration, want ...[]int64) {
	r.t.Helper()
	time.Sleep(time.Until(r.start.Add(d)))
	synctest.Wait()
	got := r.out.batches()
	if !slices.EqualFunc(got, want, slices.Equal[[]int64]) {
		r.t.Fatalf("after %s, batches of %v are stored, want %v", d, got, want)
	}
}

func newTestReducer() *reducer { return newReducer("p", 0, roomFor(100), &budget{max: 1000}) }

func TestIntervalBoundsWhatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReducer()
		f := run(t, r, nil)
		f.after(time.Hour) // nothing comes of nothing
		f.start = time.Now()
		p := count(t, r, "a", 1)
		f.after(interval / 2)
		count(t, r, "a", 10)
		f.after(interval - 1)
		f.after(interval, []int64{1 + 10})
		if b := f.out.stored[0]; !b.Accepted.Equal(f.start) {
			t.Errorf("accepted %s, want when the first increment was, %s", b.Accepted, f.start)
		}
		select {
		case <-p.stored:
		default:
			t.Error("stored, and who waits is not told")
		}
		count(t, r, "b", 100) // the next interval starts with its first increment
		f.after(2*interval-1, []int64{1 + 10})
		f.after(2*interval, []int64{1 + 10}, []int64{100})
	})
}

// The interval runs while the batch before is on its way.
func TestIntervalStartsWithTheFirstIncrement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReducer()
		f := run(t, r, func(context.Context, int) error {
			time.Sleep(interval / 2)
			return nil
		})
		count(t, r, "a", 1).wait()
		synctest.Wait()
		count(t, r, "b", 10)
		f.after(interval/2, []int64{1})
		f.after(interval+interval/2-1, []int64{1})
		f.after(interval+interval/2, []int64{1}, []int64{10})
	})
}

func TestWaitingReplyPullsTheFlushForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReducer()
		f := run(t, r, nil)
		count(t, r, "a", 1).wait()
		f.after(0, []int64{1})
		p := count(t, r, "b", 10)
		f.after(interval/2, []int64{1})
		p.wait() // later than the increment, as a read with its receipt does
		f.after(interval/2, []int64{1}, []int64{10})
	})
}

// A flush waits a little for as many replies as waited for the one before: they
// are from clients that are about to come back.
func TestFlushLingersForACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReducer()
		f := run(t, r, nil)
		p := count(t, r, "a", 1)
		for range 3 { // before the flusher sees the first
			p.waiters.Add(1)
		}
		signal(p.due)
		f.after(0, []int64{1})

		count(t, r, "a", 10).wait()
		count(t, r, "a", 20).wait()
		f.after(linger-1, []int64{1})
		count(t, r, "a", 30).wait() // the third of three
		f.after(linger-1, []int64{1}, []int64{10 + 20 + 30})

		f.start = time.Now()
		count(t, r, "a", 100).wait() // two do not come back
		f.after(linger-1, []int64{1}, []int64{10 + 20 + 30})
		f.after(linger, []int64{1}, []int64{10 + 20 + 30}, []int64{100})
	})
}

func TestFullBatchDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReducer("p", 0, roomFor(2), &budget{max: 1000})
		f := run(t, r, nil)
		count(t, r, "a", 1)
		count(t, r, "b", 2)
		f.after(0)
		count(t, r, "c", 3)
		f.after(0, []int64{1, 2})
		f.after(interval, []int64{1, 2}, []int64{3})
	})
}

// While one batch is on its way the next gathers, whatever comes.
func TestOneBatchInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReducer()
		gate := make(chan struct{})
		f := run(t, r, func(context.Context, int) error { <-gate; return nil })
		count(t, r, "a", 1).wait()
		synctest.Wait() // it is on its way
		for i := range int64(10) {
			count(t, r, "a", i).wait()
			synctest.Wait()
		}
		f.after(0)
		gate <- struct{}{}
		f.after(0, []int64{1})
		gate <- struct{}{}
		f.after(0, []int64{1}, []int64{0 + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9})
	})
}

// An outcome that is unknown is retried with the same bytes under the same id,
// which the outlet asserts, for as long as it takes.
func TestFailedPublishIsRetriedUntilItIsStored(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		full bool
	}{
		{"the stream is full", piccolo.ErrFull, true},
		{"no answer", context.DeadlineExceeded, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newTestReducer()
				const failures = 10
				tries := 0
				f := run(t, r, func(context.Context, int) error {
					if tries++; tries <= failures {
						return c.err
					}
					return nil
				})
				p := count(t, r, "a", 1)
				p.wait()
				synctest.Wait()
				count(t, r, "a", 10) // must not join
				f.after(time.Second)
				if full := f.state.Load() != nil; full != c.full {
					t.Errorf("says that it is full: %t, want %t", full, c.full)
				}
				<-p.stored
				if f.state.Load() != nil {
					t.Error("still says that it is full")
				}
				f.after(time.Minute, []int64{1}, []int64{10})
				if r := f.seen.seen[0].Retries; r != failures {
					t.Errorf("observed %d retries, want %d", r, failures)
				}
			})
		})
	}
}

// A full disk gives a publisher no answer at all.
func TestPublishThatIsNeverAnsweredIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestReducer()
		f := run(t, r, func(ctx context.Context, try int) error {
			if try < 2 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		count(t, r, "a", 1).wait()
		f.after(2 * publishTimeout)
		f.after(2*publishTimeout+firstRetry+2*firstRetry, []int64{1})
	})
}

func TestFlusherStopsWhenAllIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReducer("p", 0, roomFor(2), &budget{max: 1000})
		f := run(t, r, func(_ context.Context, try int) error {
			if try == 0 {
				return errors.New("not at the first try")
			}
			return nil
		})
		for i, key := range []string{"a", "b", "c", "d", "e"} {
			count(t, r, key, int64(i))
		}
		if left := f.halt(); len(left) != 0 {
			t.Errorf("%d batches left", len(left))
		}
		f.after(0+time.Minute, []int64{0, 1}, []int64{2, 3}, []int64{4})
	})
}

// What the stream does not take before the deadline comes back, in order, as
// it would have been published.
func TestFlusherHandsBackWhatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReducer("p", 0, roomFor(2), &budget{max: 1000})
		f := run(t, r, func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return ctx.Err()
		})
		var last *pending
		for i, key := range []string{"a", "b", "c", "d", "e"} {
			last = count(t, r, key, int64(i))
		}
		synctest.Wait()
		time.AfterFunc(time.Minute, f.abort)
		var seqs []uint64
		var values []int64
		for _, m := range f.halt() {
			var b piccolo.Batch
			if err := piccolo.DecodeBatch(m.Data, &b); err != nil || b.BatchID != m.ID || b.Increments != m.Increments || len(b.Deltas) != m.Keys {
				t.Errorf("message %s holds batch %s: %v", m.ID, b.BatchID, err)
			}
			seqs = append(seqs, b.Seq)
			for _, d := range b.Deltas {
				values = append(values, d.Value)
			}
		}
		slices.Sort(values)
		if !slices.Equal(seqs, []uint64{1, 2, 3}) || !slices.Equal(values, []int64{0, 1, 2, 3, 4}) {
			t.Errorf("left %v in batches %v", values, seqs)
		}
		select {
		case <-last.stored:
			t.Error("a reply is told that it is stored")
		default:
		}
	})
}

// Keys that are kept for nobody make room, at the latest when they take up half
// of it.
func TestFlusherSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReducer("p", 0, roomFor(100), &budget{max: 4})
		run(t, r, nil)
		flush := func(keys ...string) {
			for _, key := range keys {
				count(t, r, key, 1)
			}
			time.Sleep(interval)
			synctest.Wait()
		}
		used := func(want int64) {
			t.Helper()
			if got := r.budget.used.Load(); got != want {
				t.Errorf("%d keys kept, want %d", got, want)
			}
		}
		flush("a", "b")
		used(2)
		flush("c") // more than half
		used(0)
		flush("a")
		used(1)
		time.Sleep(sweepEvery)
		flush("b") // a has been idle since the last sweep
		time.Sleep(sweepEvery)
		flush("b")
		used(1)
	})
}
