package writer_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// watching asks for what has changed.
func (r *rig) watching(c piccolo.Changes) piccolo.Answer {
	r.t.Helper()
	a, err := r.writer.Answer(context.Background(), piccolo.Query{Changes: &c})
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// Who has seen nothing is told to read everything, and from then on what has
// changed, each key once with its total of now.
func TestChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(batch(1, piccolo.Delta{Key: "a", Value: 1}))
		r.start()
		r.settle()
		first := r.watching(piccolo.Changes{})
		if !first.Reset || first.Cursor == "" || !slices.Equal(first.Partitions, []int{0}) {
			t.Fatalf("got %+v, want a reset", first)
		}
		r.stream.publish(batch(2, piccolo.Delta{Key: "a", Value: 1}, piccolo.Delta{Key: "b", Value: 5}))
		r.settle()
		r.stream.publish(batch(3, piccolo.Delta{Key: "a", Value: 1}, piccolo.Delta{Key: "%", Value: 7}))
		r.settle()
		for _, c := range []struct {
			asked piccolo.Changes
			want  []piccolo.Number
		}{
			{piccolo.Changes{}, []piccolo.Number{{Key: "%", Value: 7}, {Key: "a", Value: 3}, {Key: "b", Value: 5}}},
			{piccolo.Changes{Prefix: "%"}, []piccolo.Number{{Key: "%", Value: 7}}},
			{piccolo.Changes{Prefix: "c"}, nil},
			{piccolo.Changes{Keys: []string{"b", "never"}}, []piccolo.Number{{Key: "b", Value: 5}}},
		} {
			c.asked.Since = first.Cursor
			a := r.watching(c.asked)
			if !slices.Equal(a.Numbers, c.want) || a.Reset || a.More {
				t.Errorf("%+v: got %+v, want %v", c.asked, a, c.want)
			}
			c.asked.Since = a.Cursor
			if a := r.watching(c.asked); len(a.Numbers) > 0 || a.Reset {
				t.Errorf("%+v: got %+v, and nothing has changed since", c.asked, a)
			}
		}
		for _, since := range []string{"", "other.0", first.Cursor + "9"} {
			if a := r.watching(piccolo.Changes{Since: since}); !a.Reset {
				t.Errorf("since %q: got %+v, want a reset", since, a)
			}
		}
	})
}

// Who waits is told as soon as something has changed that he watches, or when
// his time is over.
func TestChangesAreWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		first := r.watching(piccolo.Changes{})
		ask := func(keys ...string) <-chan piccolo.Answer {
			answers := make(chan piccolo.Answer, 1)
			go func() {
				answers <- r.watching(piccolo.Changes{Keys: keys, Since: first.Cursor, WaitMS: 3000})
			}()
			return answers
		}
		start := time.Now()
		a, b := ask("a"), ask("b")
		r.pass(time.Second)
		r.stream.publish(batch(1, piccolo.Delta{Key: "b", Value: 5}))
		if got := <-b; len(got.Numbers) != 1 || time.Since(start) != time.Second {
			t.Errorf("b: %+v after %s", got, time.Since(start))
		}
		if got := <-a; len(got.Numbers) != 0 || got.Reset || time.Since(start) != 3*time.Second {
			t.Errorf("a: %+v after %s", got, time.Since(start))
		}
	})
}

// More than one answer holds is told in several.
func TestChangesInParts(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		since := r.watching(piccolo.Changes{}).Cursor
		b := batch(1)
		for i := range 2500 {
			b.Deltas = append(b.Deltas, piccolo.Delta{Key: fmt.Sprintf("k%04d", i), Value: 1})
		}
		b.Increments = 2500
		r.stream.publish(b)
		r.settle()
		seen := make(map[string]bool)
		for more := true; more; {
			a := r.watching(piccolo.Changes{Since: since})
			for _, n := range a.Numbers {
				seen[n.Key] = true
			}
			since, more = a.Cursor, a.More
		}
		if len(seen) != 2500 {
			t.Errorf("told of %d keys, want 2500", len(seen))
		}
	})
}

// Where nobody has watched for long nothing is recorded; who comes back then
// has to read everything.
func TestChangesAreForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		since := r.watching(piccolo.Changes{}).Cursor
		r.pass(time.Minute)
		r.stream.publish(ones(1)...)
		r.settle()
		a := r.watching(piccolo.Changes{Since: since})
		if len(a.Numbers) != 1 || a.Reset {
			t.Fatalf("after a minute: %+v", a)
		}
		r.pass(10 * time.Minute)
		r.stream.publish(ones(2)...)
		r.settle()
		if a := r.watching(piccolo.Changes{Since: a.Cursor}); !a.Reset {
			t.Errorf("after ten minutes: %+v, want a reset", a)
		}
	})
}
