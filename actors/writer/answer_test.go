package writer_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

func TestAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(batch(1, piccolo.Delta{Key: "a", Value: -7}, piccolo.Delta{Key: "zero"}))
		r.start()
		r.settle()
		a, err := r.writer.Answer(t.Context(), piccolo.Query{Keys: []string{"zero", "never counted", "a"}})
		if want := []piccolo.Number{{Key: "a", Value: -7}, {Key: "zero"}}; err != nil || !slices.Equal(a.Numbers, want) {
			t.Errorf("got %+v, error %v, want %+v", a, err, want)
		}
		if a, err := r.writer.Answer(t.Context(), piccolo.Query{}); err == nil {
			t.Errorf("a query for nothing is answered with %+v", a)
		}
	})
}

// answer asks in the background.
func (r *rig) answer(ctx context.Context, q piccolo.Query) <-chan error {
	answered := make(chan error, 1)
	go func() {
		a, err := r.writer.Answer(ctx, q)
		if err == nil && a.Numbers[0].Value != 3 {
			r.t.Errorf("k is answered as %+v, want 3", a)
		}
		answered <- err
	}()
	return answered
}

// A read with a receipt sees what the receipt is for.
func TestAnswerWaitsForAReceipt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.stream.publish(ones(1)...)
		r.settle()
		answered := r.answer(t.Context(), piccolo.Query{Keys: []string{"k"}, After: "p.0.1,p.0.3"})
		for seq := uint64(2); seq <= 3; seq++ {
			r.settle()
			select {
			case err := <-answered:
				t.Fatalf("answered before %d came, error %v", seq, err)
			default:
			}
			r.stream.publish(ones(seq)...)
		}
		if err := <-answered; err != nil {
			t.Error(err)
		}
	})
}

// A read that waits makes the writer fold what it gathers at once.
func TestAnswerHurriesTheFold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Freshness = time.Second
		r.store.takes = 50 * time.Millisecond
		r.start()
		r.stream.publish(ones(1, 2)...)
		r.pass(2 * 50 * time.Millisecond)
		r.stream.publish(ones(3)...)
		r.settle()
		start := time.Now()
		if err := <-r.answer(t.Context(), piccolo.Query{Keys: []string{"k"}, After: "p.0.3"}); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != r.store.takes {
			t.Errorf("answered after %v, a commit takes %v", took, r.store.takes)
		}
	})
}

// Once it is answered it makes the writer hurry no more.
func TestAnswerHurriesOneFold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Freshness = time.Second
		r.store.takes = 50 * time.Millisecond
		r.start()
		answered := r.answer(t.Context(), piccolo.Query{Keys: []string{"k"}, After: "p.0.3"})
		r.settle()
		r.stream.publish(ones(1, 2, 3)...)
		if err := <-answered; err != nil {
			t.Error(err)
		}
		before := len(r.store.commits)
		r.stream.publish(ones(4)...)
		r.pass(r.store.takes)
		if n := len(r.store.commits); n != before {
			t.Error("a batch was folded at once that nobody waits for")
		}
	})
}

func TestAnswerThatDoesNotCome(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := <-r.answer(ctx, piccolo.Query{Keys: []string{"k"}, After: "p.0.1"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
		}
		if err := <-r.answer(t.Context(), piccolo.Query{Keys: []string{"k"}, After: "yesterday"}); err == nil {
			t.Error("a receipt that is none was waited for")
		}
		answered := r.answer(t.Context(), piccolo.Query{Keys: []string{"k"}, After: "p.0.1"})
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err == nil {
			t.Error("answered by a writer that has ended, without the batch")
		}
	})
}

// An answer says how long ago the oldest was accepted that it lacks.
func TestAnswerTellsItsFreshness(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2, 3)...)
		r.store.ends(outcome{err: piccolo.ErrNoRoom}, outcome{err: piccolo.ErrNoRoom}, outcome{err: piccolo.ErrNoRoom})
		r.start()
		r.pass(250 * time.Millisecond)
		a, err := r.writer.Answer(t.Context(), piccolo.Query{Keys: []string{"k"}})
		if err != nil || len(a.Numbers) > 0 || a.FreshnessMS != 250 {
			t.Errorf("got %+v, error %v, want nothing found and 250 ms", a, err)
		}
		r.pass(time.Minute)
		a, err = r.writer.Answer(t.Context(), piccolo.Query{Keys: []string{"k"}})
		if err != nil || a.Numbers[0].Value != 3 || a.FreshnessMS != 0 {
			t.Errorf("got %+v, error %v, want 3 and nothing lacking", a, err)
		}
	})
}
