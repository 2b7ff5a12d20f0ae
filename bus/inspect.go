package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
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
	return ServerInfo{URL: b.nc.ConnectedUrlRedacted(), Version: b.nc.ConnectedServerVersion(), RoundTrip: time.Since(start)}, nil
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
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s: there is none: make it with piccolo stream init", Stream)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", Stream, err)
	}
	info := stream.CachedInfo()
	i := &Inspection{
		Name:      info.Config.Name,
		Created:   info.Created,
		Version:   info.Config.Metadata[metaVersion],
		Replicas:  info.Config.Replicas,
		Messages:  info.State.Msgs,
		Bytes:     info.State.Bytes,
		MaxBytes:  info.Config.MaxBytes,
		FirstSeq:  info.State.FirstSeq,
		LastSeq:   info.State.LastSeq,
		Deleted:   info.State.NumDeleted,
		Consumers: []InspectedConsumer{},
		Departs:   departs(&info.Config),
		Now:       info.TimeStamp,
	}
	i.Partitions, err = strconv.Atoi(info.Config.Metadata[metaPartitions])
	if err != nil || i.Partitions < 1 || i.Partitions > piccolo.MaxPartitions {
		i.Partitions = 0
		i.Departs = append(i.Departs, fmt.Sprintf("its metadata %s is %q, not a number of partitions: it was made by hand; make it with piccolo stream init", metaPartitions, info.Config.Metadata[metaPartitions]))
	}
	for partition := range i.Partitions {
		c, err := b.inspectConsumer(ctx, stream, partition)
		if err != nil {
			return nil, err
		}
		i.Consumers = append(i.Consumers, c)
		if c.Exists {
			continue
		}
		// Nobody has read it yet, so all of it is backlog.
		held, err := stream.Info(ctx, jetstream.WithSubjectFilter(deltasSubject(partition)))
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", Stream, err)
		}
		i.Consumers[partition].Pending = held.State.Subjects[deltasSubject(partition)]
	}
	return i, nil
}

func (b *Bus) inspectConsumer(ctx context.Context, stream jetstream.Stream, partition int) (InspectedConsumer, error) {
	i := InspectedConsumer{Partition: partition, Name: consumerName(partition)}
	c, err := stream.Consumer(ctx, i.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
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

// departs says how a stream is not what ingresses and writers rely on.
func departs(c *jetstream.StreamConfig) []string {
	list := []string{}
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(len(c.Subjects) != 1 || c.Subjects[0] != subjectDeltas+"*",
		"its subjects are %s, not %s*: batches would go astray; set them with piccolo stream init", strings.Join(c.Subjects, " "), subjectDeltas)
	add(c.Storage != jetstream.FileStorage,
		"it is kept in memory: what was acknowledged is lost with the server; delete it when it is empty, and make it with piccolo stream init")
	add(c.Retention != jetstream.LimitsPolicy,
		"its retention is %s, not limits: nothing could be read again after a database is restored; delete it when it is empty, and make it with piccolo stream init", strings.ToLower(c.Retention.String()))
	add(c.Discard != jetstream.DiscardNew,
		"it discards old messages when it is full, which were acknowledged; set --discard new with piccolo stream init")
	add(c.MaxAge > 0, "messages go after %s, folded or not; piccolo stream init takes that off", c.MaxAge)
	add(c.MaxMsgs > 0, "it takes %d messages at most: piccolo stream init bounds its bytes instead", c.MaxMsgs)
	add(c.MaxMsgsPerSubject > 0, "it takes %d messages of a partition at most: piccolo stream init takes that off", c.MaxMsgsPerSubject)
	add(c.MaxBytes <= 0, "its size has no bound, so that a full disk stops it before it can say that it is full; bound it with piccolo stream init --stream-max-bytes")
	add(c.PersistMode != jetstream.DefaultPersistMode, "it is written behind its acknowledgements, whatever the server syncs: a power cut loses increments; delete it when it is empty, and make it with piccolo stream init")
	add(c.NoAck, "it acknowledges nothing, so that no reply is ever sent; piccolo stream init sets that right")
	add(c.Sealed, "it is sealed: nothing can be stored; delete it when it is empty, and make it with piccolo stream init")
	add(c.Duplicates < time.Minute, "its duplicate window is %s, so that what is published again costs a fold; piccolo stream init makes it 2 minutes", c.Duplicates)
	return list
}

// Stored returns when the message at or after a StreamSeq of a partition was
// stored, the zero time where the stream holds none.
func (b *Bus) Stored(ctx context.Context, partition int, seq uint64) (time.Time, error) {
	stream, err := b.stream(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("stream %s: %w", Stream, err)
	}
	msg, err := stream.GetMsg(ctx, max(seq, 1), jetstream.WithGetMsgSubject(deltasSubject(partition)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("stream %s: message %d: %w", Stream, seq, err)
	}
	return msg.Time, nil
}
