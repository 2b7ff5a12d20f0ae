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
// in their order, without taking any from a writer. It is for looking, by a user
// who may make consumers, which a writer is: one who may could have the stream
// delivered anywhere, and is no observer.
func (b *Bus) Follow(ctx context.Context, deliver func(piccolo.Delivery)) (stop func(), err error) {
	ctx, done := b.asks(ctx, api("CONSUMER.CREATE"))
	defer done(&err)
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
			JSON:      isJSON(msg.Headers(), msg.Data()),
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
func (b *Bus) Gaps(ctx context.Context) (_ []uint64, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", Stream, err)
	}
	return info.State.Deleted, nil
}
