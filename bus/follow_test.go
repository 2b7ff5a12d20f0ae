package bus_test

import (
	"slices"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

func TestFollowSeesEverythingAndTakesNothing(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 1, 1, 3)
	r.publish(t, 2, 1, 2)
	stream, err := r.js.Stream(soon(t), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(soon(t), 2); err != nil {
		t.Fatal(err)
	}
	seen := make(chan piccolo.Delivery, 10)
	stop, err := r.Follow(soon(t), func(d piccolo.Delivery) { seen <- d })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	r.publish(t, 0, 1, 1)
	for _, want := range []uint64{1, 3, 4, 5, 6} {
		select {
		case d := <-seen:
			var b piccolo.Batch
			if err := d.Decode(&b); err != nil || d.StreamSeq != want {
				t.Errorf("%d, %v: want %d", d.StreamSeq, err, want)
			}
		case <-soon(t).Done():
			t.Fatalf("%d did not come", want)
		}
	}
	gaps, err := r.Gaps(soon(t))
	if err != nil || !slices.Equal(gaps, []uint64{2}) {
		t.Errorf("gaps %v, %v", gaps, err)
	}
	if i, err := r.Inspect(soon(t)); err != nil || i.Consumers[1].Backlog() != 2 {
		t.Errorf("%+v, %v", i, err)
	}
}
