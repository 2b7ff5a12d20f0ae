package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
	"github.com/piccolo-counter/piccolo/actors/ingress"
	"github.com/piccolo-counter/piccolo/actors/writer"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// openIngress makes the ingress actor on a connection to the stream.
func openIngress(f *ingressFlags, b *bus.Bus, partitions int, data dataFlags, stop stopFlags, m *admin.Metrics, log *slog.Logger) (*ingress.Ingress, error) {
	l, err := net.Listen("tcp", f.Listen)
	if err != nil {
		return nil, fmt.Errorf("the API cannot listen on %s: %w: choose another address with --listen", f.Listen, err)
	}
	in, err := ingress.New(ingress.Config{
		Listener:      l,
		Producer:      piccolo.NewProducer(),
		Partitions:    partitions,
		Stream:        b,
		MaxMessage:    b.MaxPayload() - bus.HeaderRoom,
		Reader:        b,
		Observer:      m,
		Log:           log.With("actor", "ingress"),
		Spool:         filepath.Join(data.Data, "spool"),
		Ack:           f.Ack,
		AckTimeout:    f.AckTimeout,
		FlushInterval: f.FlushInterval,
		DrainTimeout:  stop.StopTimeout / 2,
		MaxKeys:       f.MaxKeys,
		MaxBody:       int(f.MaxBody),
		MaxKeyBytes:   f.MaxKeyBytes,
	})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if _, err := b.Applied(in.Producer, in.Applied); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	m.Replies(in.Replies().Each)
	m.Gauge("piccolo_keys", "Distinct keys that the ingress keeps in memory.", func() float64 { return float64(in.Keys()) })
	return in, nil
}

// openWriter makes the writer actor on a connection to the stream, and has it
// answer queries.
func openWriter(ctx context.Context, f *writerFlags, b *bus.Bus, store *sqlite.Store, partitions []int, stop stopFlags, m *admin.Metrics, log *slog.Logger, provision func(context.Context) error) (*writer.Writer, error) {
	w, err := writer.Open(ctx, writer.Config{
		Partitions:   partitions,
		Stream:       b,
		Store:        store,
		Observer:     m,
		Log:          log.With("actor", "writer"),
		Freshness:    f.Freshness,
		Retain:       f.Retain,
		DrainTimeout: stop.StopTimeout / 2,
		Provision:    provision,
	})
	if err != nil {
		return nil, err
	}
	for _, partition := range partitions {
		if _, err := b.Serve(partition, serviceVersion, w.Answer); err != nil {
			w.Close()
			return nil, err
		}
	}
	m.Gauge("piccolo_wal_bytes", "Size of SQLite's write-ahead log.", func() float64 { return float64(store.WALBytes()) })
	backlog := func(read func(piccolo.StreamState) uint64) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			s, err := b.State(ctx, partitions[0])
			if err != nil {
				return -1 // unknown, and not 0
			}
			return float64(read(s))
		}
	}
	m.Gauge("piccolo_backlog_messages", "Batches in the stream, not yet committed and trimmed; -1 where that is unknown.",
		backlog(func(s piccolo.StreamState) uint64 { return s.Messages }))
	m.Gauge("piccolo_backlog_bytes", "Bytes of those batches.",
		backlog(func(s piccolo.StreamState) uint64 { return s.Bytes }))
	return w, nil
}

// serviceVersion is that of the query service's protocol, in semver as NATS
// wants it.
const serviceVersion = "1.0.0"

// openAdmin makes the admin actor.
func openAdmin(f *adminFlags, m *admin.Metrics, checks []admin.Check, log *slog.Logger) (*admin.Admin, net.Addr, error) {
	l, err := net.Listen("tcp", f.Admin)
	if err != nil {
		return nil, nil, fmt.Errorf("the admin page cannot listen on %s: %w: choose another address with --admin", f.Admin, err)
	}
	return admin.New(l, m, checks, log), l.Addr(), nil
}
