package bus_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

func TestPublishedMessageIsThatOfTheContract(t *testing.T) {
	t.Parallel()
	r := start(t)
	m := message(2, 1, "foo", 10)
	if err := r.Publish(soon(t), m); err != nil {
		t.Fatal(err)
	}
	s, err := r.js.Stream(soon(t), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.GetMsg(soon(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != "piccolo.deltas.2" || !bytes.Equal(got.Data, m.Data) {
		t.Errorf("%q on %s, want %q on piccolo.deltas.2", got.Data, got.Subject, m.Data)
	}
	got.Header.Del("Nats-Expected-Stream")
	want := nats.Header{
		"Nats-Msg-Id":        {"p.2.1"},
		"Content-Type":       {"application/x-protobuf"},
		"Piccolo-Keys":       {"1"},
		"Piccolo-Increments": {"7"},
	}
	if !reflect.DeepEqual(got.Header, want) {
		t.Errorf("headers %v, want %v", got.Header, want)
	}
}

// A publish whose outcome is unknown is repeated, and stored once.
func TestPublishAgainStoresOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	for range 3 {
		r.publish(t, 0, 1, 2)
	}
	r.publish(t, 1, 1, 1) // the same seq in another partition is another batch
	if got := r.info(t).State.Msgs; got != 2+1 {
		t.Errorf("%d messages, want %d", got, 2+1)
	}
}

func TestFullStreamStoresNothingUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	r := startServer(t)
	o := options
	o.MaxBytes = 8 << 10
	if _, err := r.Provision(soon(t), o); err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("k", 1000)
	var stored uint64
	for seq := uint64(1); ; seq++ {
		err := r.Publish(soon(t), message(0, seq, value, 1))
		if errors.Is(err, piccolo.ErrFull) {
			break
		}
		if err != nil || seq > 8 {
			t.Fatalf("batch %d of 1000 bytes into 8192: %v", seq, err)
		}
		stored = seq
	}
	before := r.info(t).State
	if before.Msgs != stored || stored == 0 {
		t.Errorf("%d messages, want the %d that were acknowledged", before.Msgs, stored)
	}
	refused := message(0, stored+1, value, 1)
	if err := r.Publish(soon(t), refused); !errors.Is(err, piccolo.ErrFull) {
		t.Errorf("the same again: %v", err)
	}
	if after := r.info(t).State; after.LastSeq != before.LastSeq {
		t.Errorf("a refused batch is in the stream: %+v", after)
	}
	if err := r.Trim(soon(t), 0, 2); err != nil {
		t.Fatal(err)
	}
	if err := r.Publish(soon(t), refused); err != nil {
		t.Errorf("after a trim: %v", err)
	}
	if got := r.info(t).State.Msgs; got != stored-2+1 {
		t.Errorf("%d messages, want %d", got, stored-2+1)
	}
}

func TestPublishThatMustEnd(t *testing.T) {
	t.Parallel()
	r := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Publish(ctx, message(0, 1, "foo", 1)); !errors.Is(err, context.Canceled) || errors.Is(err, piccolo.ErrFull) {
		t.Errorf("%v", err)
	}
}

// What MaxMessage says fits, in a stream of any size.
func TestMaxMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		maxBytes int64
		want     int
	}{
		{"a part of what the stream holds", 1 << 20, 1<<20/4 - 512},
		{"what the server takes", -1, 8<<20 - 512},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := startServer(t)
			if _, err := r.Provision(soon(t), bus.StreamOptions{Partitions: 1, MaxBytes: c.maxBytes}); err != nil {
				t.Fatal(err)
			}
			n, err := r.MaxMessage(soon(t))
			if n != c.want || err != nil {
				t.Fatalf("%d, %v: want %d", n, err, c.want)
			}
			id := piccolo.BatchID{Producer: strings.Repeat("p", 64), Seq: piccolo.MaxSeq}
			m := &piccolo.Message{ID: id, Keys: 1 << 62, Increments: 1 << 63, Data: make([]byte, n),
				Trace: piccolo.SpanContext{Trace: [16]byte{1}, Span: [8]byte{1}, Sampled: true}}
			if err := r.Publish(soon(t), m); err != nil {
				t.Errorf("%d bytes: %v", n, err)
			}
		})
	}
}
