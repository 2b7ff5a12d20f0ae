package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
)

// What JetStream answers when it will not take more. The first is the stream's
// own limit, under a code that stands for other failures too.
const (
	codeStoreFailed      jetstream.ErrorCode = 10077
	codeStorageExceeded  jetstream.ErrorCode = 10047
	codeNoResources      jetstream.ErrorCode = 10023
	codeAccountResources jetstream.ErrorCode = 10002
)

// headerRoom is what a published message may take besides its data, in bytes.
const headerRoom = 512

// MaxMessage is how many bytes of data a published message may have: what the
// server takes, and no more than a part of what the stream may hold, so that a
// stream that is full has room for it again as it empties.
func (b *Bus) MaxMessage(ctx context.Context) (_ int, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return 0, err
	}
	limit := b.nc.MaxPayload()
	if held := stream.CachedInfo().Config.MaxBytes; held > 0 {
		limit = min(limit, held/4)
	}
	return int(limit) - headerRoom, nil
}

// Publish stores a batch in the stream and returns when it is stored. After
// piccolo.ErrFull nothing was stored; after any other error it may have been,
// and the same message must be published again until it is acknowledged.
func (b *Bus) Publish(ctx context.Context, m *piccolo.Message) (err error) {
	ctx, done := b.asks(ctx, deltasSubject(m.ID.Partition))
	defer done(&err)
	msg := &nats.Msg{
		Subject: deltasSubject(m.ID.Partition),
		Data:    m.Data,
		Header: nats.Header{
			jetstream.MsgIDHeader: {m.ID.String()},
			contentType:           {typeProtobuf},
			headerKeys:            {strconv.Itoa(m.Keys)},
			headerIncrement:       {strconv.FormatUint(m.Increments, 10)},
		},
	}
	if m.Trace.Sampled {
		msg.Header[headerTrace] = []string{m.Trace.String()}
	}
	_, err = b.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0), jetstream.WithExpectStream(Stream))
	switch {
	case err == nil:
		return nil
	case isAPIError(err, codeStorageExceeded, codeNoResources, codeAccountResources),
		isAPIError(err, codeStoreFailed) && strings.Contains(err.Error(), "maximum"):
		return fmt.Errorf("%w: %w", piccolo.ErrFull, err)
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("publish: nobody serves %s: is there a stream %s?", deltasSubject(m.ID.Partition), Stream)
	}
	return fmt.Errorf("publish: %w", err)
}
