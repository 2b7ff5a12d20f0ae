package ingress

import (
	"context"
	"errors"
	"math"
	"math/big"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// work is an increment that somebody sends, and how.
type work struct {
	key   byte
	value int64
	wait  bool // for the stream
	total bool // and for the commit
	pause time.Duration
}

var works = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) work {
	return work{
		key: rapid.ByteRange('a', 'h').Draw(t, "key"),
		value: rapid.OneOf(
			rapid.Int64Range(-9, 9),
			rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}),
			rapid.Int64(),
		).Draw(t, "value"),
		wait:  rapid.Bool().Draw(t, "wait"),
		total: rapid.Bool().Draw(t, "total"),
		pause: rapid.SampledFrom([]time.Duration{0, 0, 0, 0, time.Millisecond, interval}).Draw(t, "pause"),
	}
}), 0, 100)

// told is what add said: which batch carries what.
type told struct {
	mu         sync.Mutex
	sums       map[uint64]map[string]*big.Int // by seq and key
	increments map[uint64]uint64              // by seq
	batches    map[uint64]*pending
}

func (s *told) note(p *pending, key string, value int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seq := p.id.Seq
	if s.sums[seq] == nil {
		s.sums[seq] = make(map[string]*big.Int)
	}
	if s.sums[seq][key] == nil {
		s.sums[seq][key] = new(big.Int)
	}
	s.sums[seq][key].Add(s.sums[seq][key], big.NewInt(value))
	s.increments[seq]++
	s.batches[seq] = p
}

// Whatever many add at once, while batches are sealed, published and refused,
// and keys are forgotten: every increment that was counted is in the batch that
// add named, and in no other.
func TestEveryIncrementIsInTheBatchThatAddNamed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := chaos{
			room:     roomFor(rapid.IntRange(1, 6).Draw(rt, "deltas of a batch")),
			keys:     rapid.Int64Range(1, 16).Draw(rt, "budget"),
			adders:   rapid.SliceOfN(works, 1, 4).Draw(rt, "adders"),
			failures: rapid.SliceOfN(rapid.SampledFrom([]error{nil, errors.New("no answer"), piccolo.ErrFull}), 0, 20).Draw(rt, "failures"),
			sweeps:   rapid.SliceOfN(rapid.Bool(), 0, 20).Draw(rt, "sweeps"),
		}
		synctest.Test(t, func(*testing.T) { c.run(rt) })
	})
}

// chaos is what happens to a reducer and its flusher.
type chaos struct {
	room     int
	keys     int64
	adders   [][]work
	failures []error // of the first publishes
	sweeps   []bool  // of all idle keys, or of those not used lately
}

func (c chaos) run(t *rapid.T) {
	keys := &budget{max: c.keys}
	r := newReducer("p", 0, c.room, keys)
	f := start(t, r, func(context.Context, int) error {
		if len(c.failures) == 0 {
			return nil
		}
		err := c.failures[0]
		c.failures = c.failures[1:]
		return err
	})
	said := told{
		sums:       make(map[uint64]map[string]*big.Int),
		increments: make(map[uint64]uint64),
		batches:    make(map[uint64]*pending),
	}
	var busy sync.WaitGroup
	for _, list := range c.adders {
		busy.Go(func() {
			for _, w := range list {
				time.Sleep(w.pause)
				key := []byte{w.key}
				p, err := r.add(piccolo.Hash(key), key, w.value, w.total)
				if err != nil {
					if !errors.Is(err, piccolo.ErrBusy) {
						t.Errorf("add: %v", err)
					}
					continue
				}
				said.note(p, string(key), w.value)
				if w.wait {
					p.wait()
					<-p.stored
				}
			}
		})
	}
	busy.Go(func() {
		for _, all := range c.sweeps {
			time.Sleep(time.Millisecond)
			r.sweep(all)
		}
	})
	busy.Wait()
	if left := f.halt(); len(left) > 0 {
		t.Errorf("%d batches left", len(left))
	}
	if len(f.out.stored) != len(said.batches) {
		t.Errorf("%d batches stored, add named %d", len(f.out.stored), len(said.batches))
	}
	for i := range f.out.stored {
		said.check(t, &f.out.stored[i])
		if size := len(f.out.data[i]); size > c.room+piccolo.MaxHeaderSize {
			t.Errorf("batch %d has %d bytes", i+1, size)
		}
	}
	kept := int64(0)
	for i := range r.stripes {
		kept += int64(r.stripes[i].entries.len())
	}
	if used := keys.used.Load(); used != kept {
		t.Errorf("%d in the budget for %d keys", used, kept)
	}
	r.sweep(true)
	if used := keys.used.Load(); used != 0 {
		t.Errorf("%d in the budget for no keys", used)
	}
}

// check compares a stored batch with what add said of it.
func (s *told) check(t tester, b *piccolo.Batch) {
	t.Helper()
	if b.Increments != s.increments[b.Seq] {
		t.Errorf("batch %d stands for %d increments, want %d", b.Seq, b.Increments, s.increments[b.Seq])
	}
	got := make(map[string]*big.Int)
	for _, d := range b.Deltas {
		if got[d.Key] == nil {
			got[d.Key] = new(big.Int)
		}
		got[d.Key].Add(got[d.Key], big.NewInt(d.Value))
	}
	want := s.sums[b.Seq]
	for key := range want {
		if got[key] == nil || got[key].Cmp(want[key]) != 0 {
			t.Errorf("batch %d has %v of %s, want %v", b.Seq, got[key], key, want[key])
		}
	}
	if len(got) != len(want) {
		t.Errorf("batch %d has %d keys, want %d", b.Seq, len(got), len(want))
	}
	if p := s.batches[b.Seq]; p != nil {
		select {
		case <-p.stored:
		default:
			t.Errorf("batch %d is stored, and who waits is not told", b.Seq)
		}
	}
}
