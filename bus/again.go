package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// attempt is how long a request waits before it is sent again.
const attempt = 1500 * time.Millisecond

// again sends a request again and again until it is answered or ctx is done. A
// request that comes while a cluster elects a leader is not answered, and not
// kept either: who waits for it to the end waits for nothing.
func again[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	for {
		try, cancel := context.WithTimeout(ctx, attempt)
		answer, err := request(try)
		late := try.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !late {
			return answer, err
		}
	}
}

// stream reads what the stream is like.
func (b *Bus) stream(ctx context.Context) (jetstream.Stream, error) {
	return again(ctx, func(ctx context.Context) (jetstream.Stream, error) { return b.js.Stream(ctx, Stream) })
}
