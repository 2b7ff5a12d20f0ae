package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
)

// StreamOptions are what may differ from one deployment's stream to another's.
type StreamOptions struct {
	Partitions int
	MaxBytes   int64
	Replicas   int
	Version    string // of the program that makes the stream
}

// Provision makes the stream, or brings the one there is to o. The number of
// partitions of a stream that exists is never changed: keys would move.
func (b *Bus) Provision(ctx context.Context, o StreamOptions) (err error) {
	ctx, done := b.asks(ctx, api("STREAM.CREATE"), api("STREAM.UPDATE"))
	defer done(&err)
	if o.Partitions < 1 || o.Partitions > piccolo.MaxPartitions {
		return fmt.Errorf("partitions: %d is not between 1 and %d", o.Partitions, piccolo.MaxPartitions)
	}
	switch have, err := b.Partitions(ctx); {
	case errors.Is(err, jetstream.ErrStreamNotFound):
	case err != nil:
		return err
	case have != o.Partitions:
		return partitionsDiffer(have, o.Partitions)
	}
	config := jetstream.StreamConfig{
		Name:        Stream,
		Description: "Deltas on their way to the writers",
		Subjects:    []string{subjectDeltas + "*"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew, // full means refused, never dropped
		MaxBytes:    o.MaxBytes,
		Duplicates:  2 * time.Minute,
		Replicas:    max(o.Replicas, 1),
		Metadata: map[string]string{
			metaPartitions: strconv.Itoa(o.Partitions),
			metaVersion:    o.Version,
		},
	}
	err = pastClearing(ctx, noStoreOfStream, func() error {
		_, err := b.js.CreateOrUpdateStream(ctx, config)
		return err
	})
	if err != nil {
		return fmt.Errorf("stream %s: %w", Stream, err)
	}
	return nil
}

// Partitions reads from the stream's metadata how many partitions it has.
func (b *Bus) Partitions(ctx context.Context) (_ int, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", Stream, err)
	}
	meta := stream.CachedInfo().Config.Metadata[metaPartitions]
	n, err := strconv.Atoi(meta)
	if err != nil || n < 1 || n > piccolo.MaxPartitions {
		return 0, fmt.Errorf("stream %s: metadata %s is %q, not a number of partitions: was it made by hand?", Stream, metaPartitions, meta)
	}
	return n, nil
}

func partitionsDiffer(have, want int) error {
	return fmt.Errorf("stream %s has %d partitions, and %d are asked for: a key's partition depends on their number, so start with --partitions %d, or have it grow with piccolo stream repartition", Stream, have, want, have)
}
