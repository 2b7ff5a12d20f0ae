package ingress

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// still returns an ingress that nobody serves or flushes.
func still(t interface{ Fatal(...any) }, partitions, maxKeys, room int) *Ingress {
	in, err := New(Config{
		Producer: "p", Partitions: partitions, MaxKeys: maxKeys, MaxKeyBytes: 8, MaxBody: 1 << 10,
		MaxMessage: piccolo.MaxHeaderSize + max(room, piccolo.MaxDeltaSize(8)), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func bulkOf(in *Ingress, increments ...piccolo.Increment) *bulk {
	b := newBulk(in.Partitions)
	for _, i := range increments {
		b.add([]byte(i.Key), i.Value)
	}
	return b
}

// drawn is an increment of one of few keys.
func drawn(t *rapid.T) piccolo.Increment {
	return piccolo.Increment{
		Key:   fmt.Sprintf("key-%d", rapid.IntRange(0, 40).Draw(t, "key")),
		Value: rapid.OneOf(rapid.Int64Range(-5, 5), rapid.Int64(), rapid.SampledFrom([]int64{math.MaxInt64, math.MinInt64})).Draw(t, "value"),
	}
}

// flushed takes sealed batches and remembers what they have.
type flushed struct {
	mu         sync.Mutex
	keys       map[*pending]map[string]bool
	sums       map[string]int64 // modulo 2^64
	increments uint64
}

func (f *flushed) seal(r *reducer, p *pending) {
	var b piccolo.Batch
	r.seal(p, &b)
	keys := make(map[string]bool)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range b.Deltas {
		keys[d.Key] = true
		f.sums[d.Key] += d.Value
	}
	f.keys[p] = keys
	f.increments += b.Increments
}

// all seals what r has.
func (f *flushed) all(r *reducer, head *pending) (next *pending) {
	for !head.empty() {
		f.seal(r, head)
		head = head.next.Load()
	}
	return head
}

func TestCountAllCountsAllOrNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := still(t, rapid.IntRange(1, 3).Draw(t, "partitions"), rapid.IntRange(1, 50).Draw(t, "max keys"), rapid.IntRange(0, 1000).Draw(t, "room"))
		requests := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(drawn), 1, 60), 1, 8).Draw(t, "requests")
		f := &flushed{keys: make(map[*pending]map[string]bool), sums: make(map[string]int64)}

		stop := make(chan struct{})
		var sealing, counting sync.WaitGroup
		heads := make([]*pending, len(in.reducers))
		for i, r := range in.reducers {
			heads[i] = r.tail.Load()
			sealing.Go(func() {
				for {
					select {
					case <-r.opened:
						if !heads[i].empty() {
							f.seal(r, heads[i])
							heads[i] = heads[i].next.Load()
						}
						r.sweep(true)
					case <-stop:
						return
					}
				}
			})
		}
		batches := make([][]*pending, len(requests))
		errs := make([]error, len(requests))
		for i, request := range requests {
			counting.Go(func() { batches[i], errs[i] = in.countAll(bulkOf(in, request...), piccolo.AckStored) })
		}
		counting.Wait()
		close(stop)
		sealing.Wait()
		for i, r := range in.reducers {
			f.all(r, heads[i])
		}

		want := make(map[string]int64)
		increments := 0
		for i, request := range requests {
			if errs[i] != nil {
				if !errors.Is(errs[i], piccolo.ErrBusy) {
					t.Fatal(errs[i])
				}
				continue
			}
			increments += len(request)
			for _, inc := range request {
				want[inc.Key] += inc.Value
				if !slices.ContainsFunc(batches[i], func(p *pending) bool { return f.keys[p][inc.Key] }) {
					t.Fatalf("%s is in none of the batches that were named", inc.Key)
				}
			}
		}
		if !maps.Equal(f.sums, want) || f.increments != uint64(increments) {
			t.Fatalf("counted %v of %d increments, want %v of %d", f.sums, f.increments, want, increments)
		}
		for _, r := range in.reducers {
			r.sweep(true)
		}
		if in.keys.used.Load() != 0 || in.keys.reserved.Load() != 0 {
			t.Fatalf("%d of the budget are in use, %d reserved, when nothing is kept", in.keys.used.Load(), in.keys.reserved.Load())
		}
	})
}

func TestCountAllNearTheEndOfTheBudget(t *testing.T) {
	one := func(key string) piccolo.Increment { return piccolo.Increment{Key: key, Value: 1} }
	refused := func(t *testing.T, in *Ingress, used int64, increments ...piccolo.Increment) {
		t.Helper()
		if _, err := in.countAll(bulkOf(in, increments...), piccolo.AckStored); !errors.Is(err, piccolo.ErrBusy) {
			t.Errorf("error %v, want %v", err, piccolo.ErrBusy)
		}
		if got := in.keys.used.Load(); got != used {
			t.Errorf("%d keys are kept, want %d", got, used)
		}
	}
	counted := func(t *testing.T, in *Ingress, increments ...piccolo.Increment) *pending {
		t.Helper()
		batches, err := in.countAll(bulkOf(in, increments...), piccolo.AckStored)
		if err != nil || len(batches) != 1 {
			t.Fatalf("%d batches, %v", len(batches), err)
		}
		return batches[0]
	}
	t.Run("more increments than room, of keys that are known", func(t *testing.T) {
		in := still(t, 1, 2, 1000)
		counted(t, in, one("a"), one("b"))
		p := counted(t, in, one("a"), one("b"), one("a"))
		_, values := sealed(in.reducers[0], p)
		equal(t, values, map[string][]int64{"a": {1 + 1 + 1}, "b": {1 + 1}})
	})
	t.Run("more increments than room, of one new key", func(t *testing.T) {
		in := still(t, 1, 2, 1000)
		p := counted(t, in, one("a"), one("a"), one("a"), one("a"))
		_, values := sealed(in.reducers[0], p)
		equal(t, values, map[string][]int64{"a": {4}})
	})
	t.Run("one key too many", func(t *testing.T) {
		in := still(t, 1, 2, 1000)
		p := counted(t, in, one("a"))
		refused(t, in, 1, one("a"), one("b"), one("c"))
		_, values := sealed(in.reducers[0], p)
		equal(t, values, map[string][]int64{"a": {1}})
	})
	t.Run("idle keys make room", func(t *testing.T) {
		in := still(t, 1, 2, 1000)
		sealed(in.reducers[0], counted(t, in, one("a"), one("b")))
		p := counted(t, in, one("c"), one("d"))
		_, values := sealed(in.reducers[0], p)
		equal(t, values, map[string][]int64{"c": {1}, "d": {1}})
	})
	t.Run("deltas beyond int64", func(t *testing.T) {
		in := still(t, 1, 2, 1000)
		large := piccolo.Increment{Key: "a", Value: math.MaxInt64}
		refused(t, in, 0, large, large, large)
		p := counted(t, in, large, large)
		refused(t, in, 2, one("a"), one("a"), large)
		_, values := sealed(in.reducers[0], p)
		equal(t, values, map[string][]int64{"a": {math.MaxInt64, math.MaxInt64}})
	})
}

// A stop lets none of a request count, or all of it.
func TestCountAllWhileClosing(t *testing.T) {
	for range 50 {
		in := still(t, 2, 1000, 1000)
		heads := []*pending{in.reducers[0].tail.Load(), in.reducers[1].tail.Load()}
		increments := make([]piccolo.Increment, 100)
		for i := range increments {
			increments[i] = piccolo.Increment{Key: fmt.Sprint(i), Value: 1}
		}
		b := bulkOf(in, increments...)
		var group sync.WaitGroup
		var err error
		group.Go(func() { _, err = in.countAll(b, piccolo.AckStored) })
		group.Go(in.close)
		group.Wait()
		f := &flushed{keys: make(map[*pending]map[string]bool), sums: make(map[string]int64)}
		for i, r := range in.reducers {
			f.all(r, heads[i])
		}
		want := len(increments)
		if err != nil {
			want = 0
			if !errors.Is(err, piccolo.ErrStopping) {
				t.Fatal(err)
			}
		}
		if f.increments != uint64(want) {
			t.Fatalf("%d increments count of %d, error %v", f.increments, len(increments), err)
		}
	}
}
