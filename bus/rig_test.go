package bus_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

var quiet = slog.New(slog.DiscardHandler)

// rig is an embedded server with the bus on it, and a connection of an outside
// program that relies on the contract alone.
type rig struct {
	server *bus.Server
	*bus.Bus
	nc *nats.Conn
	js jetstream.JetStream
}

func startServer(t *testing.T) *rig {
	t.Helper()
	server, err := bus.StartServer(bus.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", MaxBytes: 1 << 24, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	b, err := server.Connect("test", quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{server, b, nc, js}
}

// options are those of a stream of three partitions.
var options = bus.StreamOptions{Partitions: 3, MaxBytes: 1 << 20, Version: "1.2.3"}

// start is a rig with a stream.
func start(t *testing.T) *rig {
	t.Helper()
	r := startServer(t)
	if _, err := r.Provision(soon(t), options); err != nil {
		t.Fatal(err)
	}
	return r
}

// anew deletes the stream and makes it again.
func (r *rig) anew(t *testing.T) {
	t.Helper()
	if err := r.js.DeleteStream(soon(t), bus.Stream); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Provision(soon(t), options); err != nil {
		t.Fatal(err)
	}
}

// soon is the deadline of what must not hang.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// info is the stream as an outside program sees it.
func (r *rig) info(t *testing.T) *jetstream.StreamInfo {
	t.Helper()
	s, err := r.js.Stream(soon(t), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo()
}

// message is a batch that says that value was added to key.
func message(partition int, seq uint64, key string, value int64) *piccolo.Message {
	b := piccolo.Batch{
		BatchID:    piccolo.BatchID{Producer: "p", Partition: partition, Seq: seq},
		Increments: 7,
		Accepted:   time.Unix(1, 0),
		Deltas:     []piccolo.Delta{{Key: key, Value: value}},
	}
	return &piccolo.Message{ID: b.BatchID, Keys: 1, Increments: 7, Data: piccolo.AppendBatch(nil, &b)}
}

// publish stores batches of partition with seqs from..to.
func (r *rig) publish(t *testing.T, partition int, from, to uint64) {
	t.Helper()
	for seq := from; seq <= to; seq++ {
		if err := r.Publish(soon(t), message(partition, seq, "foo", int64(seq))); err != nil {
			t.Fatal(err)
		}
	}
}
