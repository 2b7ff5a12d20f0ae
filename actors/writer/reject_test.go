package writer_test

import (
	"slices"
	"testing"

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
