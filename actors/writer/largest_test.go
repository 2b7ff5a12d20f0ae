package writer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// pages is a store whose pages take their time.
type pages struct {
	*store
	takes time.Duration
	read  int
}

func (p *pages) Page(ctx context.Context, page *piccolo.Page, partitions []int) ([]piccolo.Number, bool, error) {
	p.read++
	select {
	case <-time.After(p.takes):
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	return p.store.Page(ctx, page, partitions)
}

func (r *rig) largest(ctx context.Context, limit int, after string) (piccolo.Answer, error) {
	return r.writer.Answer(ctx, piccolo.Query{Page: &piccolo.Page{ByValue: true, Limit: limit}, After: after})
}

// Those who ask for the largest numbers share one scan, and its result for ten
// times as long as it took; each is told how old it is.
func TestLargestIsShared(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		slow := &pages{store: r.store, takes: 100 * time.Millisecond}
		r.Store = slow
		r.stream.publish(batch(1, piccolo.Delta{Key: "a", Value: 1}, piccolo.Delta{Key: "b", Value: 3}, piccolo.Delta{Key: "c", Value: 2}))
		r.start()
		r.settle()

		answers := make(chan piccolo.Answer)
		for range 3 {
			go func() {
				a, err := r.largest(t.Context(), 2, "")
				if err != nil {
					t.Error(err)
				}
				answers <- a
			}()
		}
		for range 3 {
			a := <-answers
			if len(a.Numbers) != 2 || a.Numbers[0].Key != "b" || a.Numbers[1].Key != "c" || !a.More || a.FreshnessMS != 100 {
				t.Errorf("got %+v, want b and c, and 100 ms of age", a)
			}
		}
		r.pass(900 * time.Millisecond)
		if a, err := r.largest(t.Context(), 10, ""); err != nil || len(a.Numbers) != 3 || a.More || a.FreshnessMS != 1000 {
			t.Errorf("got %+v, error %v; want all three, and 1 s of age", a, err)
		}
		if slow.read != 1 {
			t.Errorf("read %d times, want once", slow.read)
		}
		r.pass(200 * time.Millisecond)
		if a, err := r.largest(t.Context(), 10, ""); err != nil || a.FreshnessMS != 100 || slow.read != 2 {
			t.Errorf("got %+v, error %v, read %d times; want a new list", a, err, slow.read)
		}
	})
}

// Who brings a receipt sees no list from before it.
func TestLargestAfterAReceipt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Store = &pages{store: r.store, takes: time.Second}
		r.start()
		if a, err := r.largest(t.Context(), 10, ""); err != nil || len(a.Numbers) != 0 {
			t.Errorf("got %+v, error %v", a, err)
		}
		r.stream.publish(ones(1)...)
		if a, err := r.largest(t.Context(), 10, "p.0.1"); err != nil || len(a.Numbers) != 1 {
			t.Errorf("got %+v, error %v; want what the receipt is for", a, err)
		}
	})
}

// A scan that takes longer than somebody waits goes on for those who come next.
func TestLargestOutlivesWhoAsked(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		slow := &pages{store: r.store, takes: 3 * time.Second}
		r.Store = slow
		r.start()
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if a, err := r.largest(ctx, 10, ""); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %+v, error %v, want %v", a, err, context.DeadlineExceeded)
			}
			cancel()
		}
		if _, err := r.largest(t.Context(), 10, ""); err != nil || slow.read != 1 {
			t.Errorf("error %v, read %d times, want once", err, slow.read)
		}
	})
}
