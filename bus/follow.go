package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
)

// Follow has all messages delivered that the stream holds, and those that come,
// in their order, without taking any from a writer. It is for looking.
func (b *Bus) Follow(ctx context.Context, deliver func(piccolo.Delivery)) (stop func(), err error) {
	c, err := b.js.OrderedConsumer(ctx, Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subjectDeltas + "*"},
		DeliverPolicy:  jetstream.DeliverAllPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", Stream, err)
	}
	cc, err := c.Consume(func(msg jetstream.Msg) {
		meta, err := msg.Metadata()
		if err != nil {
			return
		}
		partition, err := strconv.Atoi(strings.TrimPrefix(msg.Subject(), subjectDeltas))
		if err != nil {
			partition = -1 // by hand, on a subject that nobody reads
		}
		deliver(piccolo.Delivery{
			Partition: partition,
			StreamSeq: meta.Sequence.Stream,
			Stored:    meta.Timestamp,
			Pending:   meta.NumPending,
			JSON:      msg.Headers().Get(contentType) == typeJSON,
			Data:      msg.Data(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", Stream, err)
	}
	return cc.Stop, nil
}

// Gaps returns the StreamSeqs between the first and the last message that the
// stream no longer holds.
func (b *Bus) Gaps(ctx context.Context) ([]uint64, error) {
	stream, err := b.js.Stream(ctx, Stream)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", Stream, err)
	}
	info, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", Stream, err)
	}
	return info.State.Deleted, nil
}
