package writer_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// What is no batch is kept for a human and never blocks those behind it.
func TestRejected(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		wrong := piccolo.AppendBatch(nil, on(4, batch(9)))
		for _, data := range [][]byte{[]byte("hello"), {}, wrong} {
			r.stream.put(message{data: data})
		}
		r.stream.put(message{json: true, data: []byte(`{"deltas":[{"key":"k","value":1.5}]}`)})
		r.stream.put(message{json: true, data: []byte(`{"deltas":[{"key":"k","value":10}]}`)})
		r.stream.publish(ones(1)...)
		r.start()
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 10 + 1})
		if n := r.stream.waiting(); n > 0 {
			t.Errorf("%d messages are not acked", n)
		}
		if c := r.seen.sum(); c.Rejected != 4 || c.Batches != 6 || c.Increments != 2 || len(c.Freshness) != 2 {
			t.Errorf("observed %+v, want 6 messages, 4 of them rejected, and 2 increments", c)
		}
		var kept []string
		for _, c := range r.store.commits {
			for _, rejected := range c.Rejected {
				if rejected.Reason == "" {
					t.Errorf("message %d was rejected without a reason", rejected.StreamSeq)
				}
				kept = append(kept, string(rejected.Data))
			}
		}
		if want := []string{"hello", "", string(wrong), `{"deltas":[{"key":"k","value":1.5}]}`}; !slices.Equal(kept, want) {
			t.Errorf("kept %q, want %q", kept, want)
		}
		for _, a := range r.stream.notices {
			if a.Producer == "" {
				t.Errorf("announced %+v", a)
			}
		}
		r.pass(2e9)
		if held := r.stream.holds(); len(held) > 0 {
			t.Errorf("the stream still holds %v", held)
		}
	})
}

// Of two writers of a stream, each takes by hand only what is read from it.
func TestByHandInAnothersPartition(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Of, r.Partitions, r.Retain = 4, []int{0, 2}, time.Hour
		keys := oneOfEach(r.Of)
		put := func(format string, of int) {
			r.stream.put(message{json: true, data: fmt.Appendf(nil, format, keys[of])})
		}
		put(`{"deltas":[{"key":%q,"value":10}]}`, 0)
		put(`{"deltas":[{"key":%q,"value":20}]}`, 2) // another of this writer's
		r.start()
		r.settle()
		put(`{"deltas":[{"key":"`+keys[0]+`","value":1},{"key":%q,"value":30}]}`, 1)
		put(`{"onces":[{"idempotency_key":"order-4711","deltas":[{"key":%q,"value":40}]}]}`, 3)
		r.settle()
		want := map[string]int64{keys[0]: 10, keys[2]: 20}
		r.store.wantValues(t, want)
		var reasons []string
		for _, c := range r.store.commits {
			for _, rejected := range c.Rejected {
				reasons = append(reasons, rejected.Reason)
			}
		}
		if len(reasons) != 2 || !strings.Contains(reasons[0], "in partition 1 of 4") || !strings.Contains(reasons[1], "in partition 3 of 4") {
			t.Errorf("rejected for %q, want both for the partition that they belong to", reasons)
		}

		// A writer that has given a partition away does not take for misplaced what
		// it folded when it had it.
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.Partitions = []int{0}
		r.stream.forget(0, 1, 2)
		r.start()
		r.settle()
		r.store.wantValues(t, want)
		if c := r.seen.sum(); c.Rejected != 2 || c.Duplicates != 2 {
			t.Errorf("observed %+v, want 2 duplicates and no more than 2 rejected", c)
		}
	})
}

// An ingress that had not heard that the stream grew still publishes to the
// partition before. Where the new one has moved to another database meanwhile,
// its keys must not be counted here, where no read looks for them.
func TestLateAfterTheStreamGrewAndAPartitionMoved(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Of, r.GrewFrom, r.Partitions, r.Retain = 4, 2, []int{0, 1, 2, 3}, time.Hour
		keys := oneOfEach(r.Of)
		late := func(seq uint64, partition int, of ...int) *piccolo.Batch {
			b := on(partition, batch(seq))
			for _, p := range of {
				b.Deltas = append(b.Deltas, piccolo.Delta{Key: keys[p], Value: 1})
			}
			return b
		}
		r.stream.publish(late(1, 1, 1, 3)) // this writer still has both
		r.start()
		r.settle()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.Partitions = []int{0, 1, 2} // and 3 has moved
		r.stream.forget(1, 1)
		r.start()
		refused := late(2, 1, 1, 3)
		once := late(3, 1)
		once.Onces = []piccolo.Once{{Claim: piccolo.Claim{Token: piccolo.Token{1}}, Increments: 1, Deltas: []piccolo.Delta{{Key: keys[3], Value: 1}}}}
		r.stream.publish(refused, once, late(4, 1, 1), late(1, 0, 0, 2))
		r.settle()
		r.store.wantValues(t, map[string]int64{keys[0]: 1, keys[1]: 2, keys[2]: 1, keys[3]: 1})
		var kept []string
		for _, c := range r.store.commits {
			for _, rejected := range c.Rejected {
				kept = append(kept, string(rejected.Data))
				if !strings.Contains(rejected.Reason, "in partition 3 of 4") || !strings.Contains(rejected.Reason, "piccolo decode") {
					t.Errorf("rejected for %q", rejected.Reason)
				}
			}
		}
		want := []string{string(piccolo.AppendBatch(nil, refused)), string(piccolo.AppendBatch(nil, once))}
		if !slices.Equal(kept, want) {
			t.Errorf("kept %q, want %q", kept, want)
		}
		if n := r.stream.waiting(); n > 0 {
			t.Errorf("%d messages are not acked", n)
		}
	})
}

// A batch that is put into rejected, because a key's partition has moved to another
// database, is in the ledger: later ones of its producer miss nothing, and once that
// partition is back it is not folded beside what somebody has counted of it.
func TestRejectedIsNeitherMissedNorFoldedLater(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Of, r.GrewFrom, r.Partitions, r.Retain = 4, 2, []int{0}, time.Hour
		keys := oneOfEach(r.Of)
		rejected := batch(1, piccolo.Delta{Key: keys[2], Value: 5, WantTotal: true}, piccolo.Delta{Key: keys[0], Value: 7})
		rejected.Increments = 10
		rejected.Onces = []piccolo.Once{{Claim: piccolo.Claim{Token: piccolo.Token{1}}, Increments: 3, Deltas: []piccolo.Delta{{Key: keys[0], Value: 3}}}}
		r.stream.publish(rejected, rejected, batch(2, piccolo.Delta{Key: keys[0], Value: 1}))
		for _, owned := range [][]int{{0}, {0}, {0, 2}, {0}} {
			r.Partitions = owned
			r.stream.forget(0, 1, 2)
			r.start()
			r.pass(2 * time.Minute)
			if told := r.announced(); len(owned) == 1 && slices.Contains(told, 1) {
				t.Errorf("announced %v, and 1 was rejected", told)
			}
			r.stream.notices = nil
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r.reopen(r.path)
		}
		r.store.wantValues(t, map[string]int64{keys[0]: 1})
		if _, ok, err := r.store.Value(t.Context(), keys[2]); ok || err != nil {
			t.Errorf("%s was counted, error %v", keys[2], err)
		}
		if r.stream.rewinds > 0 || len(r.seen.lost) > 0 {
			t.Errorf("rewound %d times, lost %v, want neither", r.stream.rewinds, r.seen.lost)
		}
		a := r.store.account("p")
		if a.Batches != 2 || a.Increments != 11 || a.Skipped != 10 || a.Sum != 1 || a.Seqs.Missing() > 0 {
			t.Errorf("the account is %+v, want 2 batches of 11 increments, 10 of them skipped, and a sum of 1", a)
		}
		if c := r.seen.sum(); c.Increments != 11 || c.Skipped != 10 || c.Rejected != 1 {
			t.Errorf("observed %+v, want 11 increments, 10 of them skipped, and 1 rejected", c)
		}
	})
}

// A message written by hand has no name of its own, and is told by where it
// stands when it comes again.
func TestByHandAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stream.loseAcks = true
		for range 2 {
			r.stream.put(message{json: true, data: []byte(`{"deltas":[{"key":"k","value":10}]}`)})
		}
		r.start()
		r.settle()
		r.stream.loseAcks = false
		r.stream.redeliver(0, 2, 1)
		r.settle()
		r.store.wantValues(t, map[string]int64{"k": 10 + 10})
	})
}

// oneOfEach returns a key of each partition.
func oneOfEach(partitions int) map[int]string {
	keys := make(map[int]string)
	for i := 0; len(keys) < partitions; i++ {
		key := strconv.Itoa(i)
		keys[piccolo.Partition(piccolo.Hash(key), partitions)] = key
	}
	return keys
}
