package bus_test

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo/bus"
)

// Outside programs rely on every field.
func TestProvisionMakesTheStreamOfTheContract(t *testing.T) {
	t.Parallel()
	r := start(t)
	got := r.info(t).Config
	maps.DeleteFunc(got.Metadata, func(key, _ string) bool { return strings.HasPrefix(key, "_nats.") })
	want := jetstream.StreamConfig{
		Name:              "PICCOLO",
		Description:       "Deltas on their way to the writers",
		Subjects:          []string{"piccolo.deltas.*"},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		MaxBytes:          1 << 20,
		Duplicates:        2 * time.Minute,
		Replicas:          1,
		Metadata:          map[string]string{"piccolo.partitions": "3", "piccolo.version": "1.2.3"},
		MaxConsumers:      -1, // no limit of these
		MaxMsgs:           -1,
		MaxMsgsPerSubject: -1,
		MaxMsgSize:        -1,
		MaxAge:            0,
		AllowDirect:       got.AllowDirect, // the server's choice
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("stream\n%+v, want\n%+v", got, want)
	}
	if n, err := r.Partitions(soon(t)); n != 3 || err != nil {
		t.Errorf("%d partitions, %v", n, err)
	}
}

func TestProvisionAgainKeepsWhatIsStored(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 0, 1, 5)
	o := options
	o.MaxBytes, o.Version = 1<<21, "1.2.4"
	if _, err := r.Provision(soon(t), o); err != nil {
		t.Fatal(err)
	}
	info := r.info(t)
	if info.State.Msgs != 5 || info.Config.MaxBytes != 1<<21 || info.Config.Metadata["piccolo.version"] != "1.2.4" {
		t.Errorf("%d messages, at most %d bytes, metadata %v", info.State.Msgs, info.Config.MaxBytes, info.Config.Metadata)
	}
}

// What is not given stays as it is, and what an operator has set besides.
func TestProvisionKeepsWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	r := startServer(t)
	want := bus.Provisioned{Partitions: 2, MaxBytes: 1 << 21, Replicas: 1}
	p, err := r.Provision(soon(t), bus.StreamOptions{Partitions: 2, MaxBytes: 1 << 21, Version: "1"})
	if err != nil || !reflect.DeepEqual(*p, want) {
		t.Fatalf("made: %+v, %v: want %+v", p, err, want)
	}
	set := r.info(t).Config
	set.Compression, set.Description, set.Duplicates = jetstream.S2Compression, "ours", time.Minute
	if _, err := r.js.UpdateStream(soon(t), set); err != nil {
		t.Fatal(err)
	}
	p, err = r.Provision(soon(t), bus.StreamOptions{Version: "2"})
	want.Changed = []bus.Change{{Setting: "duplicate window", From: "1m0s", To: "2m0s"}, {Setting: "version", From: "1", To: "2"}}
	if err != nil || !reflect.DeepEqual(*p, want) {
		t.Errorf("%+v, %v: want %+v", p, err, want)
	}
	if got := r.info(t).Config; got.MaxBytes != 1<<21 || got.Metadata["piccolo.partitions"] != "2" || got.Compression != set.Compression || got.Description != "ours" {
		t.Errorf("the stream is %+v now", got)
	}
	p, err = r.Provision(soon(t), bus.StreamOptions{MaxBytes: 1 << 22, Version: "2"})
	want.MaxBytes, want.Changed = 1<<22, []bus.Change{{Setting: "most bytes", From: "2097152", To: "4194304"}}
	if err != nil || !reflect.DeepEqual(*p, want) {
		t.Errorf("%+v, %v: want %+v", p, err, want)
	}
}

// Keys would move to other partitions, where nobody knows what they are.
func TestProvisionRefusesAnotherNumberOfPartitions(t *testing.T) {
	t.Parallel()
	r := start(t)
	o := options
	o.Partitions = 4
	_, err := r.Provision(soon(t), o)
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"has 3 partitions", "4 are asked for", "--partitions 3"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if got := r.info(t).Config.Metadata["piccolo.partitions"]; got != "3" {
		t.Errorf("the stream has %s partitions now", got)
	}
}

func TestProvisionRefusesNumbersOfPartitionsThatCannotBe(t *testing.T) {
	t.Parallel()
	r := startServer(t)
	for _, n := range []int{-1, 1025} {
		if _, err := r.Provision(soon(t), bus.StreamOptions{Partitions: n}); err == nil || !strings.Contains(err.Error(), "between 1 and 1024") {
			t.Errorf("%d: %v", n, err)
		}
	}
	if _, err := r.Provision(soon(t), bus.StreamOptions{Partitions: 1024, MaxBytes: 1 << 20}); err != nil {
		t.Errorf("1024: %v", err)
	}
}

func TestStreamThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := startServer(t)
	if _, err := r.Partitions(soon(t)); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("partitions: %v", err)
	}
	if _, err := r.State(soon(t), 0); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("state: %v", err)
	}
	if _, err := r.MaxMessage(soon(t)); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("max message: %v", err)
	}
	if err := r.Publish(soon(t), message(0, 1, "foo", 1)); err == nil || !strings.Contains(err.Error(), "is there a stream PICCOLO?") {
		t.Errorf("publish: %v", err)
	}
	if _, err := r.Subscribe(soon(t), 0, drop, nil); !errors.Is(err, jetstream.ErrStreamNotFound) || !strings.Contains(err.Error(), "writer-0") {
		t.Errorf("subscribe: %v", err)
	}
	if err := r.Trim(soon(t), 0, 1); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("trim: %v", err)
	}
}

// A stream that was deleted can be made again at once, and served.
func TestProvisionWhereAnotherWasDeleted(t *testing.T) {
	t.Parallel()
	r := start(t)
	for range 30 {
		r.publish(t, 0, 1, 1)
		c, stop := r.subscribe(t, 0)
		for _, d := range next(t, c, 1) { // whose state the server writes
			if err := d.Acker.Ack(); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		r.anew(t)
	}
}

// A stream that something else made is left as it is.
func TestStreamMadeByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		metadata map[string]string
	}{
		{"no metadata", nil},
		{"no number", map[string]string{"piccolo.partitions": "many"}},
		{"too many", map[string]string{"piccolo.partitions": "1025"}},
		{"none", map[string]string{"piccolo.partitions": "0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := startServer(t)
			if _, err := r.js.CreateStream(soon(t), jetstream.StreamConfig{Name: bus.Stream, Subjects: []string{"other"}, Metadata: c.metadata}); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Provision(soon(t), options); err == nil || !strings.Contains(err.Error(), "made by hand") {
				t.Errorf("%v", err)
			}
			if got := r.info(t).Config.Subjects; got[0] != "other" {
				t.Errorf("the stream has subjects %q now", got)
			}
		})
	}
}
