package bus_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

// Whoever takes a delivery off a consumer stands for one that is lost on the
// way: nothing behind it is delivered, the subscription ends, and the next one
// begins with it. So first deliveries come in the order of the stream.
func TestLostDeliveryEndsTheSubscription(t *testing.T) {
	t.Parallel()
	r := start(t)
	type event struct {
		seq uint64 // 0: the subscription ended
		err error
	}
	events := make(chan event, 1000)
	subscribe := func() (stop func()) {
		t.Helper()
		stop, err := r.Subscribe(soon(t), 0,
			func(d piccolo.Delivery) { events <- event{seq: d.StreamSeq} },
			func(err error) { events <- event{err: err} })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		return stop
	}
	want := func(seqs ...uint64) {
		t.Helper()
		for _, seq := range seqs {
			select {
			case e := <-events:
				if e.seq != seq {
					t.Fatalf("got %d, %v, want %d", e.seq, e.err, seq)
				}
			case <-soon(t).Done():
				t.Fatalf("%d never came", seq)
			}
		}
	}
	stop := subscribe()
	// Another one pulls too, and so takes one of the first three.
	c, err := r.js.Consumer(soon(t), bus.Stream, "writer-0")
	if err != nil {
		t.Fatal(err)
	}
	thief, err := c.Fetch(1, jetstream.FetchMaxWait(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "both pull", func() bool {
		info, err := c.Info(soon(t))
		return err == nil && info.NumWaiting == 2
	})
	r.publish(t, 0, 1, 3)
	var stolen uint64
	for msg := range thief.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		stolen = meta.Sequence.Stream
	}
	if stolen == 0 || stolen == 3 { // else nothing would come behind it
		r.publish(t, 0, 4, 4)
	}
	for seq := uint64(1); seq < stolen; seq++ {
		want(seq)
	}
	want(0)
	r.publish(t, 0, 5, 6)
	stop()
	if len(events) > 0 {
		t.Errorf("then came %v", <-events)
	}
	subscribe() // nothing was acked
	want(1, 2, 3)
}
