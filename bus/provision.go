package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
)

// StreamOptions are what may differ from one deployment's stream to another's.
// What is 0 stays as it is; a stream that is made has the default.
type StreamOptions struct {
	Partitions int    // 1 by default
	MaxBytes   int64  // 1 GiB by default
	Replicas   int    // 1 by default
	Version    string // of the program that makes the stream
}

// Provisioned is the stream as Provision leaves it.
type Provisioned struct {
	Partitions int
	MaxBytes   int64
	Replicas   int
	Changed    []Change // of a stream that was there
}

// Change is a setting of the stream that was changed, its values in words.
type Change struct{ Setting, From, To string }

// Provision makes the stream, or brings the one there is to the contract and to
// o. The number of partitions of a stream that exists is never changed: keys
// would move.
func (b *Bus) Provision(ctx context.Context, o StreamOptions) (_ *Provisioned, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"), api("STREAM.CREATE"), api("STREAM.UPDATE"))
	defer done(&err)
	if o.Partitions < 0 || o.Partitions > piccolo.MaxPartitions {
		return nil, fmt.Errorf("partitions: %d is not between 1 and %d", o.Partitions, piccolo.MaxPartitions)
	}
	stream, err := b.stream(ctx)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		o.Partitions = cmp.Or(o.Partitions, 1)
		o.MaxBytes = cmp.Or(o.MaxBytes, 1<<30)
		o.Replicas = cmp.Or(o.Replicas, 1)
		return b.provision(ctx, contract(jetstream.StreamConfig{}, o), b.js.CreateStream)
	case err != nil:
		return nil, err
	}
	before := stream.CachedInfo().Config
	have, err := partitionsOf(&before)
	if err != nil {
		return nil, err
	}
	if o.Partitions != 0 && o.Partitions != have {
		return nil, partitionsDiffer(have, o.Partitions)
	}
	o.Partitions = have
	config := contract(before, o)
	if wrong := departs(&config); len(wrong) > 0 {
		return nil, fmt.Errorf("stream %s: %s", Stream, strings.Join(wrong, "; and "))
	}
	p, err := b.provision(ctx, config, b.js.UpdateStream)
	if err != nil {
		return nil, err
	}
	p.Changed = changes(&before, &config)
	return p, nil
}

// provision has the server make or update the stream.
func (b *Bus) provision(ctx context.Context, config jetstream.StreamConfig, with func(context.Context, jetstream.StreamConfig) (jetstream.Stream, error)) (*Provisioned, error) {
	err := pastClearing(ctx, noStoreOfStream, func() error {
		_, err := again(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return with(ctx, config) })
		return err
	})
	if isAPIError(err, codeStorageExceeded) {
		err = fmt.Errorf("%w: ask for less with --stream-max-bytes, or give the servers more: on their disks, and by max_file_store", err)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", Stream, err)
	}
	partitions, err := partitionsOf(&config)
	return &Provisioned{Partitions: partitions, MaxBytes: config.MaxBytes, Replicas: config.Replicas}, err
}

// Partitions reads from the stream's metadata how many partitions it has.
func (b *Bus) Partitions(ctx context.Context) (_ int, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return 0, err
	}
	return partitionsOf(&stream.CachedInfo().Config)
}

func partitionsOf(c *jetstream.StreamConfig) (int, error) {
	meta := c.Metadata[metaPartitions]
	n, err := strconv.Atoi(meta)
	if err != nil || n < 1 || n > piccolo.MaxPartitions {
		return 0, fmt.Errorf("stream %s: metadata %s is %q, not a number of partitions: was it made by hand?", Stream, metaPartitions, meta)
	}
	return n, nil
}

func partitionsDiffer(have, want int) error {
	return fmt.Errorf("stream %s has %d partitions, and %d are asked for: a key's partition depends on their number, so start with --partitions %d, or have it grow with piccolo stream repartition", Stream, have, want, have)
}
