package writer_test

import (
	"slices"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// once is what a request under an Idempotency-Key adds to k.
func once(key string, value int64) piccolo.Once {
	var payload piccolo.Payload
	payload.Add("k", value)
	return piccolo.Once{
		Claim:      piccolo.Claim{Token: piccolo.NewToken(key), Payload: payload.Sum()},
		Increments: 1,
		Deltas:     []piccolo.Delta{{Key: "k", Value: value, WantTotal: true}},
	}
}

// carrying is a batch of producer with onces alone.
func carrying(producer string, seq uint64, onces ...piccolo.Once) *piccolo.Batch {
	b := batch(seq)
	b.Producer, b.Onces = producer, onces
	for _, o := range onces {
		b.Increments += o.Increments
	}
	return b
}

// wantBooks checks what a producer's account says of its onces.
func (r *rig) wantBooks(t *testing.T, producer string, increments, skipped uint64, sum int64) {
	t.Helper()
	if a := r.store.account(producer); a.Increments != increments || a.Skipped != skipped || a.Sum != sum {
		t.Errorf("the account of %s is %+v, want %d increments, %d of them skipped, and the sum %d", producer, a, increments, skipped, sum)
	}
}

// last is the last notice to a producer.
func (r *rig) last(t *testing.T, producer string) piccolo.Applied {
	t.Helper()
	for _, a := range slices.Backward(r.stream.notices) {
		if a.Producer == producer {
			return a
		}
	}
	t.Fatalf("%s had no notice", producer)
	return piccolo.Applied{}
}

// A retry counts nothing, wherever it comes: in the same batch, through another
// ingress in the same fold or a later one, to a writer that was started since.
// Whoever sent it is told the total.
func TestOnceCountsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := once("order-4711", 7)
		r.stream.publish(carrying("p", 1, o, o), carrying("q", 1, o))
		r.open()
		r.settle() // all wait, for one fold
		r.run()
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 7})
		r.wantBooks(t, "p", 2, 1, 7)
		r.wantBooks(t, "q", 1, 1, 0)

		r.stream.publish(ones(2)...)
		r.stream.publish(carrying("q", 2, o))
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.reopen(r.path)
		r.start()
		r.stream.publish(carrying("r", 1, o))
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 7 + 1})
		r.wantBooks(t, "q", 2, 2, 0)
		r.wantBooks(t, "r", 1, 1, 0)
		for _, producer := range []string{"q", "r"} {
			const want = 7 + 1
			if a := r.last(t, producer); a.Totals["k"] != want || len(a.Conflicts) > 0 {
				t.Errorf("the last notice to %s is %+v, want k=%d and no conflict", producer, a, want)
			}
		}
		if c := r.seen.sum(); c.Increments != 2+1+1+1+1 || c.Skipped != 4 || c.Conflicts != 0 {
			t.Errorf("observed %+v, want 6 increments with 4 skipped and no conflict", c)
		}
	})
}

// What a token stands for is what came first. Another payload counts nothing,
// and whoever sent it is told so, as often as the batch is delivered.
func TestOnceOfAnotherPayload(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		first, other := once("order-4711", 7), once("order-4711", 8)
		r.start()
		r.stream.publish(carrying("p", 1, first))
		r.settle()
		r.stream.publish(carrying("q", 1, other, once("order-4712", 100)))
		r.settle()
		r.stream.redeliver(0, 2)
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 107})
		r.wantBooks(t, "q", 2, 1, 100)
		told := 0
		for _, a := range r.stream.notices {
			switch {
			case a.Producer == "q" && slices.Equal(a.Conflicts, []piccolo.Claim{other.Claim}):
				told++
			case len(a.Conflicts) > 0:
				t.Errorf("announced the conflicts %v to %s", a.Conflicts, a.Producer)
			}
		}
		if told != 2 {
			t.Errorf("told of the conflict %d times, want 2", told)
		}
		if c := r.seen.sum(); c.Conflicts != 1+1 {
			t.Errorf("observed %d conflicts, want one for each delivery", c.Conflicts)
		}
	})
}

// Each partition counts its part of a request by itself.
func TestOncePerPartition(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Partitions = []int{0, 1}
		part := once("order-4711", 7)
		part.Deltas = []piccolo.Delta{{Key: "other", Value: 70}}
		r.stream.publish(carrying("p", 1, once("order-4711", 7)), on(1, carrying("p", 1, part)))
		r.open()
		r.settle() // both wait, for one fold
		r.run()
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 7, "other": 70})
		r.stream.publish(carrying("q", 1, once("order-4711", 7)), on(1, carrying("q", 1, part)))
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 7, "other": 70})
	})
}

// A token is forgotten when it has expired, not before, by the stream's clock:
// a writer that was away meanwhile, and one that reads the stream anew into an
// empty database, come to the same.
func TestOnceExpires(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := once("order-4711", 7)
		r.start()
		r.stream.publish(carrying("p", 1, o))
		r.settle()
		r.pass(r.TokenTTL - time.Second)
		r.stream.publish(carrying("p", 2, o))
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 7})
		r.pass(time.Second)
		r.stream.publish(carrying("p", 3, o))
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 2 * 7})
		r.wantBooks(t, "p", 3, 1, 2*7)
	})
	inBubble(t, func(t *testing.T, r *rig) {
		o := once("order-4711", 7)
		r.stream.publish(carrying("p", 1, o))
		time.Sleep(r.TokenTTL - time.Second)
		r.stream.publish(carrying("p", 2, o))
		time.Sleep(time.Second)
		r.stream.publish(carrying("p", 3, o))
		time.Sleep(10 * r.TokenTTL)
		r.start() // and finds all three, long after
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 2 * 7})
		r.wantBooks(t, "p", 3, 1, 2*7)
	})
}

// What was not committed is claimed by nobody.
func TestOnceOfACommitThatFailed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.store.ends(outcome{err: piccolo.ErrNoRoom}, outcome{err: piccolo.ErrLocked})
		o := once("order-4711", 7)
		r.stream.publish(carrying("p", 1, o), carrying("q", 1, o))
		r.start()
		r.pass(time.Second)
		r.store.wantValues(t, map[string]int64{"k": 7})
		r.wantBooks(t, "p", 1, 0, 7)
		r.wantBooks(t, "q", 1, 1, 0)
	})
}
