package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Inspection is the stream as it looks from outside, for an operator.
type Inspection struct {
	Name       string              `json:"name"`
	Created    time.Time           `json:"created"`
	Version    string              `json:"version"` // of the program that made it
	Partitions int                 `json:"partitions"`
	Replicas   int                 `json:"replicas"`
	Messages   uint64              `json:"messages"`
	Bytes      uint64              `json:"bytes"`
	MaxBytes   int64               `json:"max_bytes"` // -1 for as much as the server takes
	FirstSeq   uint64              `json:"first_seq"`
	LastSeq    uint64              `json:"last_seq"`
	Deleted    int                 `json:"deleted"` // messages between first and last that are gone
	Consumers  []InspectedConsumer `json:"consumers"`
	Departs    []string            `json:"departs"` // from the contract, each with what to do
	Now        time.Time           `json:"now"`     // by the server's clock
}

// ServerInfo is the NATS server that this process is connected to.
type ServerInfo struct {
	URL       string
	Version   string
	RoundTrip time.Duration
}

// Ask asks the server for an answer.
func (b *Bus) Ask(ctx context.Context) (ServerInfo, error) {
	start := time.Now()
	if err := b.nc.FlushWithContext(ctx); err != nil {
		return ServerInfo{}, fmt.Errorf("NATS does not answer: %w", err)
	}
	return ServerInfo{URL: Redacted(b.nc.ConnectedUrl()), Version: b.nc.ConnectedServerVersion(), RoundTrip: time.Since(start)}, nil
}

// InspectedConsumer is what a writer has read of its partition.
type InspectedConsumer struct {
	Partition   int       `json:"partition"`
	Name        string    `json:"name"`
	Exists      bool      `json:"exists"`
	AckFloor    uint64    `json:"ack_floor"`   // every StreamSeq up to it is acked
	Pending     uint64    `json:"pending"`     // not delivered
	AckPending  int       `json:"ack_pending"` // delivered, not acked
	Redelivered int       `json:"redelivered"`
	Waiting     int       `json:"waiting"`     // pulls open: a writer is there
	LastActive  time.Time `json:"last_active"` // when something was last acked, zero for never
	Database    string    `json:"database"`    // that the partition belongs to, empty for none yet
}

// Admits says why a writer with this database is refused the partition, or nil.
func (c *InspectedConsumer) Admits(database string) error {
	return owner{database: database}.admits(c.Partition, map[string]string{metaDatabase: c.Database})
}

// Backlog is how many batches of the partition are stored and not acked.
func (c *InspectedConsumer) Backlog() uint64 { return c.Pending + uint64(c.AckPending) }

// Inspect looks at the stream and its consumers.
func (b *Bus) Inspect(ctx context.Context) (_ *Inspection, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"), api("CONSUMER.INFO"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	i := &Inspection{
		Name:     info.Config.Name,
		Created:  info.Created,
		Version:  info.Config.Metadata[metaVersion],
		Replicas: info.Config.Replicas,
		Messages: info.State.Msgs,
		Bytes:    info.State.Bytes,
		MaxBytes: info.Config.MaxBytes,
		FirstSeq: info.State.FirstSeq,
		LastSeq:  info.State.LastSeq,
		Deleted:  info.State.NumDeleted,
		Departs:  departs(&info.Config),
		Now:      info.TimeStamp,
	}
	if i.Partitions, err = partitionsOf(&info.Config); err != nil {
		i.Departs = append(i.Departs, fmt.Sprintf("its metadata %s is %q, not a number of partitions: it was made by hand; %s", metaPartitions, info.Config.Metadata[metaPartitions], makeAnew))
	}
	i.Consumers = make([]InspectedConsumer, i.Partitions)
	err = sideBySide(i.Partitions, func(partition int) (err error) {
		i.Consumers[partition], err = b.inspectConsumer(ctx, stream, partition)
		return err
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}

func (b *Bus) inspectConsumer(ctx context.Context, stream jetstream.Stream, partition int) (InspectedConsumer, error) {
	i := InspectedConsumer{Partition: partition, Name: consumerName(partition)}
	c, err := stream.Consumer(ctx, i.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		// Nobody has read it yet, so all of it is backlog.
		held, err := stream.Info(ctx, jetstream.WithSubjectFilter(deltasSubject(partition)))
		if err != nil {
			return i, fmt.Errorf("stream %s: %w", Stream, err)
		}
		i.Pending = held.State.Subjects[deltasSubject(partition)]
		return i, nil
	}
	if err != nil {
		return i, fmt.Errorf("consumer %s: %w", i.Name, err)
	}
	info := c.CachedInfo()
	i.Exists = true
	i.AckFloor = info.AckFloor.Stream
	i.Pending = info.NumPending
	i.AckPending = info.NumAckPending
	i.Redelivered = info.NumRedelivered
	i.Waiting = info.NumWaiting
	i.Database = info.Config.Metadata[metaDatabase]
	if info.AckFloor.Last != nil {
		i.LastActive = *info.AckFloor.Last
	}
	return i, nil
}

// Oldest returns when the oldest batch of each partition's backlog was stored, the
// zero time where there is none, or it was committed since i was seen.
func (b *Bus) Oldest(ctx context.Context, i *Inspection) (stored []time.Time, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"), api("STREAM.MSG.GET"), api("DIRECT.GET"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return nil, err
	}
	stored = make([]time.Time, len(i.Consumers))
	err = sideBySide(len(stored), func(partition int) (err error) {
		if c := &i.Consumers[partition]; c.Backlog() > 0 {
			stored[partition], err = storedIn(ctx, stream, partition, c.AckFloor+1)
		}
		return err
	})
	return stored, err
}

// Stored returns when the message at or after a StreamSeq of a partition was
// stored, the zero time where the stream holds none.
func (b *Bus) Stored(ctx context.Context, partition int, seq uint64) (_ time.Time, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"), api("STREAM.MSG.GET"), api("DIRECT.GET"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return storedIn(ctx, stream, partition, seq)
}

func storedIn(ctx context.Context, stream jetstream.Stream, partition int, seq uint64) (time.Time, error) {
	msg, err := stream.GetMsg(ctx, max(seq, 1), jetstream.WithGetMsgSubject(deltasSubject(partition)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("stream %s: message %d: %w", Stream, seq, err)
	}
	return msg.Time, nil
}

// abreast is how many questions about partitions are open at the same time, of
// which there may be a thousand: one after the other takes seconds, and all at once
// are more than a server keeps.
const abreast = 16

// sideBySide asks about each of n partitions, until one question fails.
func sideBySide(n int, ask func(partition int) error) error {
	var (
		asked  atomic.Int64
		failed atomic.Pointer[error]
		all    sync.WaitGroup
	)
	for range min(n, abreast) {
		all.Go(func() {
			for p := int(asked.Add(1)) - 1; p < n && failed.Load() == nil; p = int(asked.Add(1)) - 1 {
				if err := ask(p); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
