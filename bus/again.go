package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// attempt is how long a request waits before it is sent again.
	attempt = 1500 * time.Millisecond
	// pause is how long a server that knows of no leader is left alone.
	pause = 200 * time.Millisecond
	// patience is after how long without an answer it is said, each time.
	patience = 5 * time.Second
	// settling is for how long a cluster that starts may know of too few servers.
	settling = 10 * time.Second
)

// What a server answers that knows of no leader, or of too few others, as all do
// for seconds after the servers of a cluster have started. Later the second is an
// answer: there are no more.
const (
	codeNoLeader jetstream.ErrorCode = 10008
	codeNoPeers  jetstream.ErrorCode = 10005
)

// errNoQuorum is the likely reason of no answer.
var errNoQuorum = errors.New("JetStream does not answer: in a cluster, most of the servers must run and reach one another, and as many as the stream has replicas; a single one may have a disk that hangs")

// errTooFew says what there may be too few servers for.
var errTooFew = errors.New("too few servers can have the stream: does the cluster have as many as --replicas, with room for --stream-max-bytes?")

// again sends a request again and again until it is answered or ctx is done, and
// says every few seconds what it waits for. A request that comes while a cluster
// elects a leader is not answered, and not kept either: who waits for it to the
// end waits for nothing. After ctx's deadline the error is errNoQuorum, too.
// That there are too few servers is believed sooner, and is errTooFew.
func again[T any](ctx context.Context, b *Bus, request func(context.Context) (T, error)) (T, error) {
	for start, said := time.Now(), time.Now(); ; {
		try, cancel := context.WithTimeout(ctx, attempt)
		answer, err := request(try)
		late := err != nil && try.Err() != nil
		leaderless, tooFew := isAPIError(err, codeNoLeader), isAPIError(err, codeNoPeers)
		cancel()
		if !late && !leaderless && !tooFew {
			return answer, err
		}
		if leaderless || tooFew {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
		why := errNoQuorum
		if tooFew {
			why = errTooFew
		}
		expired := errors.Is(ctx.Err(), context.DeadlineExceeded)
		switch {
		case expired, tooFew && time.Since(start) >= settling:
			return answer, fmt.Errorf("%w: %w", why, err)
		case ctx.Err() != nil:
			return answer, err
		}
		if time.Since(said) >= patience {
			said = time.Now()
			b.log.Warn("waiting for JetStream, asking again and again", "for", time.Since(start).Round(time.Second), "error", why)
		}
	}
}

// stream reads what the stream is like.
func (b *Bus) stream(ctx context.Context) (jetstream.Stream, error) {
	stream, err := again(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return b.js.Stream(ctx, Stream) })
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = noStreamError{}
	case err != nil:
		err = fmt.Errorf("stream %s: %w", Stream, err)
	}
	return stream, err
}

// noStreamError is jetstream.ErrStreamNotFound with what to do about it.
type noStreamError struct{}

func (noStreamError) Error() string {
	return "stream " + Stream + ": there is none: make it with piccolo stream init"
}

func (noStreamError) Unwrap() error { return jetstream.ErrStreamNotFound }
