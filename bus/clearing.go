package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The server answers that a stream or a consumer is deleted, and then goes on
// with its files for a moment: it clears directories away, and may still write
// a consumer's state into one. What is made meanwhile under the same name, and a
// consumer of a stream that is made anew, may be refused, because it cannot have
// its files.

// pastClearing makes something again, for as long as the server refuses it so, and a
// second or so.
func pastClearing(ctx context.Context, refused func(error) bool, create func() error) error {
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		err := create()
		if !refused(err) || wait > time.Second {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// noStoreOfStream says whether err is JetStream's answer when it cannot make the
// files of a stream, which has no code of its own.
func noStoreOfStream(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Description == "error creating store for stream"
}

// noStoreOfConsumer is the same for a consumer.
func noStoreOfConsumer(err error) bool {
	const consumerCreate jetstream.ErrorCode = 10012
	return isAPIError(err, consumerCreate)
}
