package ingress

import (
	"errors"
	"math"
	"strconv"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// roomFor is the limit of batches of n deltas with keys of one byte.
func roomFor(n int) int { return n * piccolo.MaxDeltaSize(1) }

// count adds to r what must fit.
func count(t *testing.T, r *reducer, key string, value int64) *pending {
	t.Helper()
	p, err := r.add(piccolo.Hash(key), []byte(key), value, false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refuses checks that r counts nothing, for want of room.
func refuses(t *testing.T, r *reducer, key string, value int64, want error) {
	t.Helper()
	before := r.budget.used.Load()
	if _, err := r.add(piccolo.Hash(key), []byte(key), value, false); !errors.Is(err, want) {
		t.Errorf("add %s: %v, want %v", key, err, want)
	}
	if used := r.budget.used.Load(); used != before {
		t.Errorf("a refusal took %d from the budget", used-before)
	}
}

// sealed seals p and returns its values by key, in the order they came in.
func sealed(r *reducer, p *pending) (b piccolo.Batch, values map[string][]int64) {
	r.seal(p, &b)
	values = make(map[string][]int64)
	for _, d := range b.Deltas {
		values[d.Key] = append(values[d.Key], d.Value)
	}
	return b, values
}

func equal(t *testing.T, got map[string][]int64, want map[string][]int64) {
	t.Helper()
	same := len(got) == len(want)
	for key, values := range want {
		same = same && len(got[key]) == len(values)
		for i := range values {
			same = same && got[key][i] == values[i]
		}
	}
	if !same {
		t.Errorf("deltas %v, want %v", got, want)
	}
}

func TestReducerSumsPerKey(t *testing.T) {
	r := newReducer("p", 3, roomFor(10), &budget{max: 10})
	p := count(t, r, "a", 10)
	for _, c := range []struct {
		key   string
		value int64
	}{{"b", -1}, {"a", 20}, {"b", -2}, {"a", -5}, {"c", 0}} {
		if count(t, r, c.key, c.value) != p {
			t.Fatalf("%s went into another batch", c.key)
		}
	}
	b, values := sealed(r, p)
	if want := (piccolo.BatchID{Producer: "p", Partition: 3, Seq: 1}); b.BatchID != want || b.Increments != 6 || b.Accepted.IsZero() {
		t.Errorf("batch %s of %d increments, accepted %s", b.BatchID, b.Increments, b.Accepted)
	}
	equal(t, values, map[string][]int64{"a": {10 + 20 - 5}, "b": {-1 - 2}, "c": {0}})
}

// What comes after the seal is in the next batch, and never joins the last.
func TestReducerSealsForGood(t *testing.T) {
	r := newReducer("p", 0, roomFor(10), &budget{max: 10})
	first := count(t, r, "a", 1)
	_, values := sealed(r, first)
	equal(t, values, map[string][]int64{"a": {1}})
	second := count(t, r, "a", 2)
	if second == first || second.id.Seq != 2 {
		t.Fatalf("batch %s after %s", second.id, first.id)
	}
	b, values := sealed(r, second)
	equal(t, values, map[string][]int64{"a": {2}})
	if b.Increments != 1 {
		t.Errorf("%d increments, want 1", b.Increments)
	}
}

// A sum that leaves int64 becomes two deltas of the same key.
func TestReducerOverflow(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []int64
		want   []int64
	}{
		{"up", []int64{math.MaxInt64, 1, 1}, []int64{math.MaxInt64, 1 + 1}},
		{"down", []int64{math.MinInt64, -1, -1}, []int64{math.MinInt64, -1 - 1}},
		{"up and down", []int64{math.MaxInt64, 1, -5}, []int64{math.MaxInt64, 1 - 5}},
		{"again and again", []int64{math.MaxInt64, math.MaxInt64, math.MaxInt64}, []int64{math.MaxInt64, math.MaxInt64, math.MaxInt64}},
		{"to the brim and back", []int64{math.MaxInt64, math.MinInt64, 1}, []int64{math.MaxInt64 + math.MinInt64 + 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReducer("p", 0, roomFor(10), &budget{max: 10})
			var p *pending
			for _, value := range c.values {
				p = count(t, r, "a", value)
			}
			b, values := sealed(r, p)
			equal(t, values, map[string][]int64{"a": c.want})
			if b.Increments != uint64(len(c.values)) {
				t.Errorf("%d increments, want %d", b.Increments, len(c.values))
			}
			if used := r.budget.used.Load(); used != 1 {
				t.Errorf("%d in the budget when sealed, want 1 key", used)
			}
		})
	}
	t.Run("without room for another delta", func(t *testing.T) {
		r := newReducer("p", 0, roomFor(10), &budget{max: 1})
		p := count(t, r, "a", math.MaxInt64)
		refuses(t, r, "a", 1, piccolo.ErrBusy)
		count(t, r, "a", -1)
		_, values := sealed(r, p)
		equal(t, values, map[string][]int64{"a": {math.MaxInt64 - 1}})
	})
}

// A batch that is as large as a message may be is followed by another; a key
// that has a delta in it goes on being summed there.
func TestReducerSplitsAtTheLimit(t *testing.T) {
	r := newReducer("p", 0, roomFor(2), &budget{max: 10})
	first := count(t, r, "a", 1)
	count(t, r, "b", 2)
	if first.full() {
		t.Error("full before a key did not fit")
	}
	second := count(t, r, "c", 3)
	if !first.full() || second == first || first.next.Load() != second {
		t.Fatal("the third key went where two fit")
	}
	if count(t, r, "a", 10) != first {
		t.Error("a known key left its batch")
	}
	count(t, r, "d", 4)
	third := count(t, r, "e", 5)
	_, values := sealed(r, first)
	equal(t, values, map[string][]int64{"a": {1 + 10}, "b": {2}})
	if count(t, r, "a", 100) != third {
		t.Error("a known key whose batch is sealed did not go to the tail")
	}
	_, values = sealed(r, second)
	equal(t, values, map[string][]int64{"c": {3}, "d": {4}})
	_, values = sealed(r, third)
	equal(t, values, map[string][]int64{"e": {5}, "a": {100}})
	for seq, p := range []*pending{first, second, third} {
		if p.id.Seq != uint64(seq+1) {
			t.Errorf("batch %d has seq %d", seq+1, p.id.Seq)
		}
	}
}

// The budget bounds the keys in memory, whether they have a delta or not, and
// it is what the keys in memory are.
func TestReducerBudget(t *testing.T) {
	b := &budget{max: 3}
	r, other := newReducer("p", 0, roomFor(10), b), newReducer("p", 1, roomFor(10), b)
	p := count(t, r, "a", 1)
	count(t, r, "b", 1)
	count(t, other, "c", 1)
	refuses(t, r, "d", 1, piccolo.ErrBusy)
	refuses(t, other, "d", 1, piccolo.ErrBusy)
	count(t, r, "a", 1)
	r.sweep(true)
	refuses(t, r, "d", 1, piccolo.ErrBusy) // what has a delta is not forgotten
	_, values := sealed(r, p)
	equal(t, values, map[string][]int64{"a": {1 + 1}, "b": {1}})
	refuses(t, r, "d", 1, piccolo.ErrBusy) // what was sealed is kept, to be found again
	count(t, r, "a", 1)
	r.sweep(true) // forgets b
	if b.used.Load() != 2 {
		t.Errorf("%d keys in the budget, want a and c", b.used.Load())
	}
	count(t, r, "d", 1)
	refuses(t, r, "b", 1, piccolo.ErrBusy)
}

// A key is forgotten when it was idle from one sweep to the next.
func TestReducerSweepsIdleKeys(t *testing.T) {
	r := newReducer("p", 0, roomFor(2000), &budget{max: 1000})
	var p *pending
	for i := range 1000 {
		p = count(t, r, strconv.Itoa(i), 1)
	}
	r.seal(p, new(piccolo.Batch))
	r.sweep(false)
	if used := r.budget.used.Load(); used != 1000 {
		t.Errorf("%d keys, want 1000: all were used before the sweep", used)
	}
	p = count(t, r, "7", 1)
	r.sweep(false)
	if used := r.budget.used.Load(); used != 1 {
		t.Errorf("%d keys, want 1: one was used between the sweeps", used)
	}
	if count(t, r, "7", 1) != p {
		t.Error("the key that stayed lost its delta")
	}
}

func TestReducerClosed(t *testing.T) {
	r := newReducer("p", 0, roomFor(10), &budget{max: 10})
	p := count(t, r, "a", 1)
	r.close()
	refuses(t, r, "a", 1, piccolo.ErrStopping)
	refuses(t, r, "b", 1, piccolo.ErrStopping)
	_, values := sealed(r, p)
	equal(t, values, map[string][]int64{"a": {1}})
}

func TestReducerAddOfAKnownKeyAllocatesNothing(t *testing.T) {
	r := newReducer("p", 0, roomFor(10), &budget{max: 10})
	key := []byte("a")
	hash := piccolo.Hash(key)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := r.add(hash, key, 1, true); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The key that add was given may be a buffer that is used again.
func TestReducerCopiesNewKeys(t *testing.T) {
	r := newReducer("p", 0, roomFor(10), &budget{max: 10})
	key := []byte("a")
	p, err := r.add(piccolo.Hash(key), key, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	key[0] = 'b'
	_, values := sealed(r, p)
	equal(t, values, map[string][]int64{"a": {1}})
}
