package writer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// of makes a batch another producer's.
func of(producer string, b *piccolo.Batch) *piccolo.Batch {
	b.Producer = producer
	return b
}

// set and remove are what a batch does to k.
func set(value int64) piccolo.Delta { return piccolo.Delta{Key: "k", Value: value, Op: piccolo.OpSet} }

var remove = piccolo.Delta{Key: "k", Op: piccolo.OpRemove}

// A set overwrites what stands before it in the stream, whoever published it,
// and what stands behind it counts on top; in one fold or in many.
func TestSetAtItsPlaceInTheStream(t *testing.T) {
	published := func() []*piccolo.Batch {
		return []*piccolo.Batch{
			of("p", batch(1, piccolo.Delta{Key: "k", Value: 1})),
			of("q", batch(1, piccolo.Delta{Key: "k", Value: 20})),
			of("q", batch(2, set(1000))),
			of("p", batch(2, piccolo.Delta{Key: "k", Value: 3})),
			of("q", batch(3, piccolo.Delta{Key: "k", Value: 40})),
		}
	}
	for _, folds := range []string{"one", "many"} {
		inBubble(t, func(t *testing.T, r *rig) {
			if folds == "one" {
				r.stream.publish(published()...)
				r.start()
				r.settle()
			} else {
				r.start()
				for _, b := range published() {
					r.stream.publish(b)
					r.settle()
				}
			}
			r.store.wantValues(t, map[string]int64{"k": 1000 + 3 + 40})
			// The set came to what it changed the total by.
			if p, q := r.store.account("p").Sum, r.store.account("q").Sum; p != 1+3 || q != 20+(1000-21)+40 {
				t.Errorf("%s: the accounts' sums are %d and %d, want 4 and %d", folds, p, q, 20+(1000-21)+40)
			}
		})
	}
}

func TestRemove(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		asking := batch(1, piccolo.Delta{Key: "k", Value: 7, WantTotal: true})
		r.stream.publish(asking)
		r.start()
		r.settle()
		r.stream.publish(batch(2, remove), batch(3, piccolo.Delta{Key: "other", Value: 1}))
		r.settle()
		gone := func() {
			t.Helper()
			if value, ok, err := r.store.Value(context.Background(), "k"); ok || err != nil {
				t.Errorf("k is %d, error %v, want none", value, err)
			}
		}
		gone()
		r.stream.redeliver(0, 1) // whoever asks again for the total does not bring it back
		r.settle()
		gone()
		if a := r.store.account("p"); a.Sum != 1 {
			t.Errorf("the account is %+v, want the sum 1", a)
		}
		r.stream.publish(batch(4, remove), batch(5, piccolo.Delta{Key: "k", Value: 0})) // in one fold
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 0})
	})
}

// What the quarantine holds of a key is overwritten with it, and accounted for.
func TestSetOfAQuarantinedKey(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.start()
		r.stream.publish(batch(1, piccolo.Delta{Key: "k", Value: math.MaxInt64}))
		r.settle()
		r.stream.publish(batch(2, piccolo.Delta{Key: "k", Value: math.MaxInt64}))
		r.settle()
		r.stream.publish(batch(3, set(5)))
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 5})
		if a := r.store.account("p"); a.Sum != 5 {
			t.Errorf("the account's sum is %d, want 5", a.Sum)
		}
	})
}

// However much a client puts into the quarantine in one commit, the log has a
// line of it, with a few of the keys.
func TestQuarantineInALine(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var log bytes.Buffer
		r.Log = slog.New(slog.NewTextHandler(&log, nil))
		var once, twice []piccolo.Delta
		for i := range 500 {
			d := piccolo.Delta{Key: fmt.Sprintf("k%03d", i), Value: math.MaxInt64}
			once, twice = append(once, d), append(twice, d, d)
		}
		r.stream.publish(batch(1, once...), batch(2, twice...))
		r.start()
		r.settle()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 1 || len(lines[0]) > 400 || !strings.Contains(lines[0], "deltas=1000 keys=500 ") {
			t.Errorf("the log has %d lines: %.1000s", len(lines), log.String())
		}
		if c := r.seen.sum(); c.Quarantine.In != 1000 {
			t.Errorf("%d deltas are reported, want 1000", c.Quarantine.In)
		}
	})
}

// model is what the batches of a stream come to, in its order, each once.
type model struct {
	folded  map[piccolo.BatchID]bool
	tokens  map[piccolo.Token]uint64
	totals  map[string]*big.Int // no key: none
	skipped uint64
}

func (m *model) fold(b *piccolo.Batch) {
	if m.folded[b.BatchID] {
		return
	}
	m.folded[b.BatchID] = true
	for _, o := range b.Onces {
		if _, ok := m.tokens[o.Token]; ok {
			m.skipped += o.Increments
			continue
		}
		m.tokens[o.Token] = o.Payload
		m.apply(o.Deltas)
	}
	m.apply(b.Deltas)
}

func (m *model) apply(deltas []piccolo.Delta) {
	for _, d := range deltas {
		total := big.NewInt(d.Value)
		if before := m.totals[d.Key]; d.Op == piccolo.OpAdd && before != nil {
			total.Add(total, before)
		}
		m.totals[d.Key] = total
		if d.Op == piccolo.OpRemove {
			delete(m.totals, d.Key)
		}
	}
}

// drawBatch draws a batch that may do all that a batch can.
func drawBatch(t *rapid.T, producer string, seq uint64) *piccolo.Batch {
	b := of(producer, batch(seq))
	value := rapid.SampledFrom([]int64{0, 1, -1, 1000, math.MaxInt64, math.MinInt64})
	key := rapid.SampledFrom([]string{"a", "b"})
	for range rapid.IntRange(0, 2).Draw(t, "onces") {
		o := once(rapid.SampledFrom([]string{"order-1", "order-2", "order-3"}).Draw(t, "token"), value.Draw(t, "once"))
		o.Deltas[0].Key = key.Draw(t, "once's key")
		b.Onces = append(b.Onces, o)
		b.Increments++
	}
	for range rapid.IntRange(0, 3).Draw(t, "deltas") {
		d := piccolo.Delta{Key: key.Draw(t, "key"), WantTotal: rapid.Bool().Draw(t, "want total")}
		d.Op = piccolo.Op(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "op"))
		if d.Op != piccolo.OpRemove {
			d.Value = value.Draw(t, "value")
		}
		if d.Op == piccolo.OpAdd {
			b.Increments++
		}
		b.Deltas = append(b.Deltas, d)
	}
	return b
}

// Whatever two ingresses publish, in whatever order it comes to stand in the
// stream, however often it is published and delivered, whatever dies and
// whichever commits fail: first deliveries come in the stream's order, and so
// the totals are those of the stream. The ledger accounts for each of them.
func TestFoldIsThatOfTheStream(t *testing.T) {
	dir, dbs := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		dbs++
		path := filepath.Join(dir, fmt.Sprint(dbs, ".db"))
		synctest.Test(t, func(*testing.T) {
			r := newRig(rt, path)
			defer r.close()
			want := model{make(map[piccolo.BatchID]bool), make(map[piccolo.Token]uint64), make(map[string]*big.Int), 0}
			seqs := make(map[string]uint64)
			var published []*piccolo.Batch
			for range rapid.IntRange(1, 3).Draw(rt, "lives") {
				r.stream.loseAcks = rapid.Bool().Draw(rt, "lose acks")
				r.DrainTimeout = time.Second // wasted where acks are lost
				if fails := rapid.IntRange(0, 4).Draw(rt, "commits"); fails == 0 {
					r.store.ends(outcome{piccolo.ErrUnknown, rapid.Bool().Draw(rt, "happened")})
				}
				r.open()
				for range rapid.IntRange(0, 5).Draw(rt, "batches") {
					producer := rapid.SampledFrom([]string{"p", "q"}).Draw(rt, "producer")
					b := drawBatch(rt, producer, seqs[producer]+1)
					if len(published) > 0 && rapid.IntRange(0, 4).Draw(rt, "again at 0") == 0 {
						b = rapid.SampledFrom(published).Draw(rt, "again") // by a publisher that had no answer
					} else {
						seqs[producer]++
						published = append(published, b)
					}
					r.stream.publish(b)
					want.fold(b)
				}
				if n := uint64(len(published)); n > 0 {
					r.stream.redeliver(0, rapid.SliceOfN(rapid.Uint64Range(1, n), 0, 4).Draw(rt, "delivered again")...)
				}
				if rapid.IntRange(0, 3).Draw(rt, "dies at 0") == 0 {
					r.settle()
					r.die()
				} else {
					r.run()
					if err := r.stop(); err != nil && !errors.Is(err, piccolo.ErrUnknown) {
						rt.Error(err)
					}
				}
				r.reopen(path)
			}
			r.stream.loseAcks, r.DrainTimeout = false, time.Minute
			r.start()
			if err := r.stop(); err != nil { // which folds all that the stream holds
				rt.Error(err)
			}
			r.wantModel(rt, &want)
		})
	})
}

func (r *rig) wantModel(t rapid.TB, want *model) {
	keys, sum := []string{"a", "b"}, int64(0)
	for _, key := range keys {
		value, ok, err := r.store.Value(context.Background(), key)
		total := want.totals[key]
		switch {
		case err != nil:
			t.Fatal(err)
		case ok != (total != nil):
			t.Errorf("%s is found: %v, want total %v", key, ok, total)
		case ok && total.IsInt64() && value != total.Int64():
			t.Errorf("%s is %d, want %v", key, value, total)
		}
		if total != nil {
			sum += int64(new(big.Int).And(total, new(big.Int).SetUint64(math.MaxUint64)).Uint64())
		}
	}
	p, q := r.store.account("p"), r.store.account("q")
	if got := p.Sum + q.Sum; got != sum {
		t.Errorf("the ledger's sum is %d, that of the totals %d, modulo 2^64", got, sum)
	}
	if got := p.Skipped + q.Skipped; got != want.skipped {
		t.Errorf("%d increments were skipped, want %d", got, want.skipped)
	}
}
