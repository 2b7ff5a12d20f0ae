package bus_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/internal/port"
)

// drop is what becomes of a delivery that nobody looks at.
func drop(piccolo.Delivery) {}

// subscribe returns what comes, and how the subscription is stopped.
func (r *rig) subscribe(t *testing.T, partition int) (deliveries <-chan piccolo.Delivery, stop func()) {
	t.Helper()
	c := make(chan piccolo.Delivery, 1000)
	stop, err := r.Subscribe(soon(t), partition,
		func(d piccolo.Delivery) { c <- d },
		func(err error) { t.Errorf("the subscription failed: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return c, stop
}

// next waits for n deliveries.
func next(t *testing.T, c <-chan piccolo.Delivery, n int) (got []piccolo.Delivery) {
	t.Helper()
	for range n {
		select {
		case d := <-c:
			got = append(got, d)
		case <-soon(t).Done():
			t.Fatalf("%d deliveries of %d", len(got), n)
		}
	}
	return got
}

// seqs are the seqs of the batches, in ascending order.
func seqs(t *testing.T, deliveries []piccolo.Delivery) (seqs []uint64) {
	t.Helper()
	for _, d := range deliveries {
		var b piccolo.Batch
		if err := d.Decode(&b); err != nil {
			t.Error(err)
		}
		seqs = append(seqs, b.Seq)
	}
	slices.Sort(seqs)
	return seqs
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for ctx := soon(t); !done(); {
		if ctx.Err() != nil {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestConsumerIsThatOfTheContract(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.subscribe(t, 2)
	c, err := r.js.Consumer(soon(t), bus.Stream, "writer-2")
	if err != nil {
		t.Fatal(err)
	}
	got := c.CachedInfo().Config
	want := jetstream.ConsumerConfig{
		Name:          "writer-2",
		Durable:       "writer-2",
		Description:   "Folds partition 2 into SQLite",
		FilterSubject: "piccolo.deltas.2",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       30 * time.Second,
		MaxDeliver:    -1,
		MaxAckPending: 65536,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
		MaxWaiting:    got.MaxWaiting, // the server's choice
		Metadata:      got.Metadata,   // the server's
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("consumer\n%+v, want\n%+v", got, want)
	}
}

func TestSubscribeDeliversAPartition(t *testing.T) {
	t.Parallel()
	r := start(t)
	before := time.Now().Add(-time.Second)
	r.publish(t, 0, 1, 1) // StreamSeq 1
	r.publish(t, 1, 1, 3) // 2, 3, 4
	r.publish(t, 0, 2, 2) // 5
	deliveries, _ := r.subscribe(t, 1)
	for i, d := range next(t, deliveries, 3) {
		seq := uint64(i + 1)
		if want := message(1, seq, "foo", int64(seq)).Data; d.Partition != 1 || d.StreamSeq != seq+1 || string(d.Data) != string(want) || d.JSON {
			t.Errorf("delivery %d: %+v", i, d)
		}
		if d.Pending != uint64(3-1-i) {
			t.Errorf("delivery %d: %d pending, want %d", i, d.Pending, 3-1-i)
		}
		if d.Stored.Before(before) || d.Created.Before(before) || d.Created.After(d.Stored) {
			t.Errorf("delivery %d: stream of %s, stored %s", i, d.Created, d.Stored)
		}
	}
	r.publish(t, 0, 3, 3)
	r.publish(t, 1, 4, 4)
	if got := seqs(t, next(t, deliveries, 1)); got[0] != 4 {
		t.Errorf("then seq %d, want 4", got[0])
	}
}

// What was not acked comes again at once to the writer after this one, before what
// is new, and what was does not.
func TestSubscribeAgainDeliversWhatWasNotAcked(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 0, 1, 5)
	deliveries, stop := r.subscribe(t, 0)
	for _, d := range next(t, deliveries, 5) {
		if d.StreamSeq <= 2 {
			if err := d.Acker.Ack(); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(t, "acks arrive", func() bool {
		s, err := r.State(soon(t), 0)
		return err == nil && s.AckFloor == 2 && s.AckPending == 3
	})
	stop()
	r.publish(t, 0, 6, 6)
	deliveries, _ = r.subscribe(t, 0)
	for _, want := range []uint64{3, 4, 5, 6} {
		if d := next(t, deliveries, 1)[0]; d.StreamSeq != want {
			t.Fatalf("batch %d comes, want %d", d.StreamSeq, want)
		}
	}
}

// Where nothing was ever acked, the server may say of a consumer that it has just
// reset what it had delivered before; the next subscription is not misled by it.
func TestSubscribeAgainWhereNothingWasAcked(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 0, 1, 3)
	for range 20 {
		deliveries, stop := r.subscribe(t, 0)
		if got, want := seqs(t, next(t, deliveries, 3)), []uint64{1, 2, 3}; !slices.Equal(got, want) {
			t.Errorf("batches %v come, want %v", got, want)
		}
		stop()
	}
}

// A server that starts again may have lost messages, and given their numbers to
// others: what came before is not acked after. The subscription ends, and what
// was not acked comes again at once to the next.
func TestSubscriptionEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	o := bus.ServerOptions{Dir: t.TempDir(), Listen: port.Free(t), MaxBytes: 1 << 20, Log: quiet}
	server, err := bus.StartServer(o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.Connect(bus.Remote{URL: server.URL()}, "test", quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Provision(soon(t), options); err != nil {
		t.Fatal(err)
	}
	r := &rig{Bus: b}
	r.publish(t, 0, 1, 1)
	deliveries, failed := make(chan piccolo.Delivery, 10), make(chan error, 1)
	stop, err := b.Subscribe(soon(t), 0, func(d piccolo.Delivery) { deliveries <- d }, func(err error) { failed <- err })
	if err != nil {
		t.Fatal(err)
	}
	before := next(t, deliveries, 1)[0]

	server.Shutdown()
	until(t, "the loss shows", func() bool { return b.Check(t.Context()) != nil })
	if server, err = bus.StartServer(o); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	until(t, "the connection stands again", func() bool { return b.Check(t.Context()) == nil })

	if err := before.Acker.Ack(); err == nil {
		t.Error("a message that came before the connection was lost is acked after")
	}
	select {
	case <-failed:
	case <-soon(t).Done():
		t.Fatal("the subscription did not end with the connection")
	}
	stop()
	again, _ := r.subscribe(t, 0)
	after := next(t, again, 1)[0]
	if after.StreamSeq != before.StreamSeq {
		t.Errorf("message %d comes again, want %d", after.StreamSeq, before.StreamSeq)
	}
	if err := after.Acker.Ack(); err != nil {
		t.Errorf("a message that came after is not acked: %v", err)
	}
}

// What had come, and was still waiting to be delivered when the connection was
// lost, is not acked on the next one either.
func TestNoAckOfWhatWaitedWhenTheConnectionWasLost(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 0, 1, 2)
	deliveries, release, failed := make(chan piccolo.Delivery, 10), make(chan struct{}), make(chan error, 1)
	stop, err := r.Subscribe(soon(t), 0, func(d piccolo.Delivery) {
		deliveries <- d
		<-release
	}, func(err error) { failed <- err })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	next(t, deliveries, 1)
	until(t, "the second has been sent", func() bool {
		s, err := r.State(soon(t), 0)
		return err == nil && s.AckPending == 2
	})
	if _, err := r.State(soon(t), 0); err != nil { // whose answer came behind it
		t.Fatal(err)
	}
	if err := r.Bus.Reconnect(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-failed:
	case <-soon(t).Done():
		t.Fatal("the subscription did not end with the connection")
	}
	close(release)
	if err := next(t, deliveries, 1)[0].Acker.Ack(); err == nil {
		t.Error("a message that came before the connection was lost is acked after")
	}
}

// A stream that was made anew gives the same numbers to other messages: what
// came from the one before is not acked in it.
func TestNoAckInAnotherStream(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 0, 1, 1)
	deliveries := make(chan piccolo.Delivery, 10)
	stop, err := r.Subscribe(soon(t), 0, func(d piccolo.Delivery) { deliveries <- d }, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	before := next(t, deliveries, 1)[0]
	r.anew(t)
	stop()
	r.publish(t, 0, 2, 2)
	again, _ := r.subscribe(t, 0)
	after := next(t, again, 1)[0]
	if after.StreamSeq != before.StreamSeq {
		t.Fatalf("message %d comes, want another %d", after.StreamSeq, before.StreamSeq)
	}
	if err := before.Acker.Ack(); err == nil {
		t.Error("a message of the stream before is acked in this one")
	}
	if err := after.Acker.Ack(); err != nil {
		t.Error(err)
	}
}

func TestRewindDeliversEverythingAgain(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 0, 1, 5)
	deliveries, stop := r.subscribe(t, 0)
	for _, d := range next(t, deliveries, 5) {
		if err := d.Acker.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	before := r.madeAt(t, "writer-0")
	if err := r.Rewind(soon(t), 0); err != nil {
		t.Fatal(err)
	}
	deliveries, _ = r.subscribe(t, 0)
	if got, want := seqs(t, next(t, deliveries, 5)), []uint64{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("batches %v come again, want %v", got, want)
	}
	// Had it been deleted, a writer that was superseded could have made it.
	if after := r.madeAt(t, "writer-0"); !after.Equal(before) {
		t.Errorf("the consumer was made at %s, and the one before at %s", after, before)
	}
}

// Rewinding what was never consumed makes the consumer.
func TestRewindWithoutAConsumer(t *testing.T) {
	t.Parallel()
	r := start(t)
	if err := r.Rewind(soon(t), 0); err != nil {
		t.Error(err)
	}
	if _, err := r.State(soon(t), 0); err != nil {
		t.Error(err)
	}
}

// A message by hand is one in JSON, whatever the program that published it makes
// of the header, and where there is none, too.
func TestMessageByHand(t *testing.T) {
	t.Parallel()
	r := start(t)
	deliveries, _ := r.subscribe(t, 0)
	const byHand = `{"deltas":[{"key":"foo","value":10}]}`
	protobuf := string(message(0, 1, "foo", 1).Data)
	for i, c := range []struct {
		header nats.Header
		data   string
		json   bool
	}{
		{nats.Header{"Content-Type": {"application/json"}}, byHand, true},
		{nats.Header{"Content-Type": {"application/json; charset=utf-8"}}, byHand, true},
		{nats.Header{"Content-Type": {"Application/JSON ;charset=utf-8"}}, byHand, true},
		{nats.Header{"content-type": {"application/json"}}, byHand, true},
		{nats.Header{"CONTENT-TYPE": {"application/json"}}, "\n" + byHand, true},
		{nil, byHand, true},
		{nats.Header{"Nats-Msg-Id": {"x"}}, byHand, true},
		{nil, protobuf, false},
		{nats.Header{"Content-Type": {"application/x-protobuf"}}, protobuf, false},
		{nats.Header{"Content-Type": {"application/x-protobuf"}}, byHand, false},
	} {
		if _, err := r.js.PublishMsg(soon(t), &nats.Msg{Subject: "piccolo.deltas.0", Data: []byte(c.data), Header: c.header}); err != nil {
			t.Fatal(err)
		}
		d := next(t, deliveries, 1)[0]
		if d.JSON != c.json || string(d.Data) != c.data {
			t.Errorf("%v %q: %+v", c.header, c.data, d)
		}
		if !c.json {
			continue
		}
		var b piccolo.Batch
		if err := d.Decode(&b); err != nil {
			t.Errorf("%v: %v", c.header, err)
			continue
		}
		if b.BatchID != d.ID() || b.Increments != 1 || len(b.Deltas) != 1 || b.Deltas[0] != (piccolo.Delta{Key: "foo", Value: 10}) {
			t.Errorf("message %d: %+v", i, b)
		}
	}
}

// A subscription that has ended by itself says so.
func TestSubscriptionThatFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(*testing.T, *rig) error
	}{
		{"the stream is deleted", func(t *testing.T, r *rig) error { return r.js.DeleteStream(soon(t), bus.Stream) }},
		{"the consumer is deleted", func(t *testing.T, r *rig) error { return r.js.DeleteConsumer(soon(t), bus.Stream, "writer-0") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			r.publish(t, 0, 1, 1)
			delivered, failed := make(chan struct{}, 10), make(chan error, 10)
			stop, err := r.Subscribe(soon(t), 0, func(piccolo.Delivery) { delivered <- struct{}{} }, func(err error) { failed <- err })
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			<-delivered
			if err := c.end(t, r); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-failed:
				if err == nil {
					t.Error("failed without a reason")
				}
			case <-soon(t).Done():
				t.Fatal("nobody is told")
			}
			stop()
			if n := len(failed); n > 0 {
				t.Errorf("told %d times more", n)
			}
		})
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 0, 1, 4) // StreamSeq 1 to 4
	r.publish(t, 1, 1, 2) // 5, 6
	deliveries, stop := r.subscribe(t, 0)
	for _, d := range next(t, deliveries, 4)[:3] {
		if err := d.Acker.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	until(t, "acks arrive", func() bool {
		s, err := r.State(soon(t), 0)
		return err == nil && s.AckFloor == 3
	})
	r.publish(t, 0, 5, 6) // 7, 8
	if err := r.Trim(soon(t), 0, 2); err != nil {
		t.Fatal(err)
	}
	s, err := r.State(soon(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Created.IsZero() || s.Bytes == 0 || s.MaxBytes == 0 {
		t.Errorf("%+v", s)
	}
	s.Created, s.Bytes, s.MaxBytes = time.Time{}, 0, 0
	want := piccolo.StreamState{FirstSeq: 3, LastSeq: 8, Messages: 8 - 2, AckFloor: 3, AckPending: 1, Pending: 2}
	if s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
}

// What other partitions have in the stream is not touched.
func TestTrimRemovesWhatAPartitionHasCommitted(t *testing.T) {
	t.Parallel()
	r := start(t)
	for seq := uint64(1); seq <= 3; seq++ { // StreamSeq 1 0, 2 1, 3 0, 4 1, 5 0, 6 1
		r.publish(t, 0, seq, seq)
		r.publish(t, 1, seq, seq)
	}
	if err := r.Trim(soon(t), 0, 3); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		partition int
		from      uint64
		want      uint64
	}{
		{0, 1, 5},
		{0, 5, 5},
		{0, 6, 0},
		{1, 1, 2},
		{1, 3, 4},
		{2, 1, 0},
	} {
		name := fmt.Sprintf("partition %d from %d", c.partition, c.from)
		if got, err := r.Next(soon(t), c.partition, c.from); got != c.want || err != nil {
			t.Errorf("%s: %d, %v: want %d", name, got, err, c.want)
		}
	}
	if err := r.Trim(soon(t), 0, 100); err != nil {
		t.Error(err)
	}
	if got := r.info(t).State.Msgs; got != 3 {
		t.Errorf("%d messages, want the 3 of partition 1", got)
	}
}
