package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
)

// Owner returns the id of the database that a partition belongs to, empty where
// no writer has served it yet, that of the move that brought it there, empty
// where none did, and whether a writer serves it now.
func (b *Bus) Owner(ctx context.Context, partition int) (database, move string, served bool, err error) {
	ctx, done := b.asks(ctx, api("CONSUMER.INFO"))
	defer done(&err)
	c, err := again(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
		return b.js.Consumer(ctx, Stream, consumerName(partition))
	})
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return "", "", false, nil
	case err != nil:
		return "", "", false, fmt.Errorf("consumer %s: %w", consumerName(partition), err)
	}
	info := c.CachedInfo()
	return info.Config.Metadata[metaDatabase], info.Config.Metadata[metaMove], info.NumWaiting > 0, nil
}

// Assign gives a partition, with what its consumer has yet to deliver, to a
// database, which knows the move that brought it there by its id; empty where no
// number moved. A writer that serves it ends within a second.
func (b *Bus) Assign(ctx context.Context, partition int, database, move string) (err error) {
	ctx, done := b.asks(ctx, api("CONSUMER.CREATE"))
	defer done(&err)
	_, err = again(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
		return b.js.CreateOrUpdateConsumer(ctx, Stream, consumerConfig(partition, owner{database: database, writer: b.owner.writer}.metadata(move)))
	})
	if err != nil {
		return fmt.Errorf("consumer %s: %w", consumerName(partition), err)
	}
	return nil
}

// CanGrow says whether the stream can be taken to so many partitions, whoever
// runs: what can never be is said before anybody is asked to stop.
func (b *Bus) CanGrow(ctx context.Context, partitions int) (before int, err error) {
	if before, err = b.Partitions(ctx); err != nil {
		return 0, err
	}
	switch {
	case partitions < before:
		return before, fmt.Errorf("stream %s has %d partitions and cannot shrink to %d: give fewer writers more of them instead, with --partition", Stream, before, partitions)
	case partitions%before != 0:
		return before, fmt.Errorf("stream %s has %d partitions and can grow to a multiple of that, as %d, not to %d: so no number has to move", Stream, before, 2*before, partitions)
	case partitions > piccolo.MaxPartitions:
		return before, fmt.Errorf("partitions: %d is more than %d", partitions, piccolo.MaxPartitions)
	}
	return before, nil
}

// Grow takes the stream to a multiple of the partitions it has. A key's
// partition is its hash modulo their number: so those of partition p are in p,
// p+before, p+2·before… afterwards, and each of these is given to the database
// that has p. No number moves. It may be done again after it was cut off.
//
// No ingress and no writer may run meanwhile, and nothing may be left to fold:
// tokens of what is folded later would not be where a retry looks for them, and
// keys of it would be in the wrong database if their new partition had moved.
func (b *Bus) Grow(ctx context.Context, partitions int) (before int, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"), api("STREAM.UPDATE"))
	defer done(&err)
	if before, err = b.CanGrow(ctx, partitions); err != nil {
		return before, err
	}
	for p := range before {
		if err := b.allFolded(ctx, p); err != nil && partitions > before {
			return before, err
		}
		database, _, _, err := b.Owner(ctx, p)
		if err != nil {
			return before, err
		}
		for q := p + before; q < partitions && database != ""; q += before {
			if err := b.Assign(ctx, q, database, ""); err != nil {
				return before, err
			}
		}
	}
	stream, err := b.stream(ctx)
	if err != nil {
		return before, err
	}
	// Last: until now nothing has changed for anybody.
	config := stream.CachedInfo().Config
	if partitions > before && config.Metadata[metaGrewFrom] == "" {
		config.Metadata[metaGrewFrom] = strconv.Itoa(before)
	}
	config.Metadata[metaPartitions] = strconv.Itoa(partitions)
	if _, err := b.js.UpdateStream(ctx, config); err != nil {
		return before, fmt.Errorf("stream %s: %w", Stream, err)
	}
	return before, nil
}

// GrewFrom returns with how many partitions the stream was made, 0 where it has
// not grown.
func (b *Bus) GrewFrom(ctx context.Context) (_ int, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return 0, err
	}
	meta := stream.CachedInfo().Config.Metadata[metaGrewFrom]
	if meta == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(meta)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("stream %s: metadata %s is %q, not a number of partitions: was it changed by hand?", Stream, metaGrewFrom, meta)
	}
	return n, nil
}

// allFolded says whether a writer has acked all that the stream holds of a
// partition.
func (b *Bus) allFolded(ctx context.Context, partition int) (err error) {
	ctx, done := b.asks(ctx, api("CONSUMER.INFO"))
	defer done(&err)
	c, err := again(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
		return b.js.Consumer(ctx, Stream, consumerName(partition))
	})
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		// No writer has served it yet.
		first, err := b.Next(ctx, partition, 1)
		if err != nil || first == 0 {
			return err
		}
	case err != nil:
		return fmt.Errorf("consumer %s: %w", consumerName(partition), err)
	case c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0:
		return nil
	}
	return fmt.Errorf("the stream holds batches of partition %d that are not folded: run its writer until piccolo backlog shows none, stop it, and give the command again", partition)
}
