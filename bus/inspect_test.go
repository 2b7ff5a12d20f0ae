package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 1, 1, 5)
	r.publish(t, 2, 1, 2)

	acked := make(chan struct{}, 5)
	stop, err := r.Subscribe(soon(t), 1, func(d piccolo.Delivery) {
		if d.StreamSeq <= 3 {
			if err := d.Acker.Ack(); err != nil {
				t.Error(err)
			}
		}
		acked <- struct{}{}
	}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for range 5 {
		<-acked
	}
	var i *bus.Inspection
	for i == nil || i.Consumers[1].AckFloor < 3 { // an ack is not answered
		if i, err = r.Inspect(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	if i.Name != "PICCOLO" || i.Partitions != 3 || i.Replicas != 1 || i.Version != "1.2.3" || i.Messages != 7 || i.Bytes == 0 ||
		i.MaxBytes != options.MaxBytes || i.FirstSeq != 1 || i.LastSeq != 7 || i.Deleted != 0 || len(i.Departs) != 0 {
		t.Errorf("%+v", i)
	}
	for partition, want := range []uint64{0, 2, 2} {
		c := i.Consumers[partition]
		if c.Backlog() != want || c.Exists != (partition == 1) || (c.Waiting > 0) != (partition == 1) {
			t.Errorf("partition %d: %+v, want a backlog of %d", partition, c, want)
		}
	}
	oldest, err := r.Oldest(soon(t), i)
	if err != nil || len(oldest) != 3 || !oldest[0].IsZero() || oldest[1].IsZero() || oldest[2].IsZero() {
		t.Errorf("the oldest were stored at %v, %v", oldest, err)
	}
	stored, err := r.Stored(soon(t), 1, 4)
	if !stored.Equal(oldest[1]) {
		t.Errorf("the first that is not acked was stored at %s, the oldest of the backlog at %s", stored, oldest[1])
	}
	if err != nil || time.Since(stored) > time.Minute || stored.IsZero() {
		t.Errorf("stored at %s, %v", stored, err)
	}
	if stored, err = r.Stored(soon(t), 1, 6); err != nil || !stored.IsZero() {
		t.Errorf("what is not there was stored at %s, %v", stored, err)
	}
}

// A stream has as many partitions as there may be, and is looked at as one of three is.
func TestInspectManyPartitions(t *testing.T) {
	t.Parallel()
	r := startServer(t)
	if _, err := r.Provision(soon(t), bus.StreamOptions{Partitions: piccolo.MaxPartitions, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	for _, partition := range []int{7, 1023} {
		r.publish(t, partition, 1, 3)
	}
	i, err := r.Inspect(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	oldest, err := r.Oldest(soon(t), i)
	if err != nil {
		t.Fatal(err)
	}
	for partition, c := range i.Consumers {
		want := uint64(0)
		if partition == 7 || partition == 1023 {
			want = 3
		}
		if c.Partition != partition || c.Backlog() != want || oldest[partition].IsZero() != (want == 0) {
			t.Errorf("partition %d: %+v, the oldest of %s", partition, c, oldest[partition])
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Oldest(ended, i); !errors.Is(err, context.Canceled) {
		t.Errorf("when it is too late: %v", err)
	}
}

// A stream that was made or changed by hand is told apart, each setting for
// itself, and stream init brings back what can be.
func TestInspectFindsWhatDepartsFromTheContract(t *testing.T) {
	t.Parallel()
	contract := start(t).info(t).Config
	for _, c := range []struct {
		change  func(*jetstream.StreamConfig)
		says    string
		forGood bool // the server does not change it any more
	}{
		{func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "other") }, "subjects", false},
		{func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discards old", false},
		{func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "after 1h", false},
		{func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }, "10 messages at most", false},
		{func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 10 }, "of a partition", false},
		{func(c *jetstream.StreamConfig) { c.MaxMsgSize = 100 }, "of 100 bytes at most", false},
		{func(c *jetstream.StreamConfig) { c.MaxBytes = -1 }, "no bound", false},
		{func(c *jetstream.StreamConfig) { c.NoAck = true }, "acknowledges nothing", false},
		{func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute }, "duplicate window is 1m0s", false},
		{func(c *jetstream.StreamConfig) { c.Duplicates = time.Hour }, "duplicate window is 1h0m0s", false},
		{func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, "interest", false},
		{func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, "workqueue", true},
		{func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "in memory", true},
		{func(c *jetstream.StreamConfig) { c.MaxConsumers = 2 }, "2 consumers at most", true},
		{func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, "behind its acknowledgements", true},
		{func(c *jetstream.StreamConfig) { c.DenyPurge = true }, "denies purging", true},
		{func(c *jetstream.StreamConfig) { c.Sealed = true }, "sealed", true},
		{func(c *jetstream.StreamConfig) { c.Metadata = nil }, "by hand", true},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			// A server of its own: one that has just deleted a stream may still be
			// clearing its directories away, and then makes no other.
			r := startServer(t)
			config := contract
			c.change(&config)
			sealed := config.Sealed // which no stream is made as
			config.Sealed = false
			if _, err := r.js.CreateStream(soon(t), config); err != nil {
				t.Fatal(err)
			}
			if sealed {
				config.Sealed = true
				if _, err := r.js.UpdateStream(soon(t), config); err != nil {
					t.Fatal(err)
				}
			}
			i, err := r.Inspect(soon(t))
			if err != nil || len(i.Departs) != 1 || !strings.Contains(i.Departs[0], c.says) {
				t.Fatalf("%q, %v", i.Departs, err)
			}
			_, err = r.Provision(soon(t), options)
			switch after, _ := r.Inspect(soon(t)); {
			case c.forGood && (err == nil || !strings.Contains(i.Departs[0], "delete it when it is empty")):
				t.Errorf("%q, and stream init brings it back: %v", i.Departs, err)
			case !c.forGood && (err != nil || len(after.Departs) > 0 || strings.Contains(i.Departs[0], "delete it")):
				t.Errorf("%q, and stream init leaves %q: %v", i.Departs, after.Departs, err)
			}
		})
	}
}
