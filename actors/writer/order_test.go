package writer_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// A writer fetches 1 to 3 and dies; the next one gets 4 to 6 first.
func TestOutOfOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(ones(1, 2, 3)...)
		r.open() // and fetches them
		r.settle()
		r.die()

		r.stream.publish(ones(4, 5, 6)...)
		r.stream.order = func(seqs []uint64) { copy(seqs, []uint64{4, 5, 6, 1, 2, 3}) }
		r.start()
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 6})
		if a := r.store.account("p"); a.Batches != 6 || a.Seqs.Watermark() != 6 {
			t.Errorf("the account is %+v, want 6 batches", a)
		}
		if c := r.seen.sum(); c.Duplicates > 0 {
			t.Errorf("%d duplicates, want none", c.Duplicates)
		}
	})
}

// Where the sum of a key in one fold leaves int64, nothing is cut off: the
// database gets it in parts.
func TestSumsBeyondInt64(t *testing.T) {
	const most = 1<<63 - 1
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.publish(
			batch(1, piccolo.Delta{Key: "k", Value: most}),
			batch(2, piccolo.Delta{Key: "k", Value: most}),
			batch(3, piccolo.Delta{Key: "k", Value: -most}),
			batch(4, piccolo.Delta{Key: "k", Value: -most + 5}),
		)
		r.start()
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 5})
	})
}

// life is what happens to one writer process in TestExactlyOnce.
type life struct {
	published []*piccolo.Batch
	order     uint64    // seeds the order of delivery
	again     []uint64  // StreamSeqs delivered once more, where there are such
	loseAcks  bool      // none of them reaches the disk
	dies      bool      // with what it fetched in its hands
	commits   []outcome // the first ones
}

func lives(t *rapid.T) (lives []life) {
	seq := uint64(0)
	for range rapid.IntRange(1, 3).Draw(t, "lives") {
		l := life{
			order:    rapid.Uint64().Draw(t, "order"),
			again:    rapid.SliceOfN(rapid.Uint64Range(1, 12), 0, 5).Draw(t, "again"),
			loseAcks: rapid.Bool().Draw(t, "lose acks"),
			dies:     rapid.IntRange(0, 4).Draw(t, "dies at 0") == 0,
			commits: rapid.SampledFrom([][]outcome{
				nil, nil,
				{{err: piccolo.ErrUnknown}},
				{{err: piccolo.ErrUnknown, happened: true}},
				{{err: piccolo.ErrNoRoom}, {err: piccolo.ErrUnknown, happened: true}},
			}).Draw(t, "commits"),
		}
		for range rapid.IntRange(0, 4).Draw(t, "batches") {
			seq++
			b := batch(seq)
			for range rapid.IntRange(0, 4).Draw(t, "deltas") {
				b.Increments++
				b.Deltas = append(b.Deltas, piccolo.Delta{
					Key:       rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"),
					Value:     rapid.Int64Range(-1<<40, 1<<40).Draw(t, "value"),
					WantTotal: rapid.Bool().Draw(t, "want total"),
				})
			}
			l.published = append(l.published, b)
			if rapid.IntRange(0, 3).Draw(t, "twice at 0") == 0 {
				l.published = append(l.published, b) // by a publisher that had no answer
			}
		}
		lives = append(lives, l)
	}
	return lives
}

// Through the real writer and the real database: whatever order batches are
// delivered in, however often, however many acks are lost and whatever dies on
// the way, every increment counts once.
func TestExactlyOnce(t *testing.T) {
	dir, dbs := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		dbs++
		path, lives := filepath.Join(dir, fmt.Sprint(dbs, ".db")), lives(rt)
		synctest.Test(t, func(*testing.T) {
			r := newRig(rt, path)
			defer r.close()
			var published []*piccolo.Batch
			for _, l := range lives {
				r.live(l)
				r.reopen(path)
				published = append(published, l.published...)
			}
			r.stream.loseAcks, r.stream.order, r.DrainTimeout = false, nil, time.Minute
			r.start()
			if err := r.stop(); err != nil { // which folds all that the stream holds
				rt.Error(err)
			}
			if n := r.stream.waiting(); n > 0 {
				rt.Errorf("%d messages are not acked", n)
			}
			r.wantOnce(rt, published)
		})
	})
}

// live has a writer go through l.
func (r *rig) live(l life) {
	random := rand.New(rand.NewPCG(l.order, 0))
	r.stream.order = func(seqs []uint64) {
		random.Shuffle(len(seqs), func(i, j int) { seqs[i], seqs[j] = seqs[j], seqs[i] })
	}
	r.stream.loseAcks = l.loseAcks
	r.store.ends(l.commits...)
	r.DrainTimeout = time.Second // wasted where acks are lost
	r.stream.publish(l.published[:len(l.published)/2]...)
	r.open()
	r.stream.publish(l.published[len(l.published)/2:]...)
	r.stream.redeliver(0, l.again...)
	if l.dies {
		r.settle()
		r.die()
		return
	}
	r.run()
	if err := r.stop(); err != nil && !errors.Is(err, piccolo.ErrUnknown) && !errors.Is(err, piccolo.ErrNoRoom) {
		r.t.Error(err)
	}
}

// wantOnce expects each of the batches to be counted once, though some were
// published twice.
func (r *rig) wantOnce(t rapid.TB, published []*piccolo.Batch) {
	want := make(map[string]int64)
	var all piccolo.Account
	for _, b := range published {
		if !all.Seqs.Add(b.Seq) {
			continue
		}
		all.Batches++
		all.Increments += b.Increments
		for _, d := range b.Deltas {
			want[d.Key] += d.Value
			all.Sum += d.Value
		}
	}
	r.store.wantValues(t, want)
	// By what they say: a set that has become empty is not the one that was.
	if got := r.store.account("p"); fmt.Sprint(got) != fmt.Sprint(all) {
		t.Errorf("the account is %+v, want %+v", got, all)
	}
}
