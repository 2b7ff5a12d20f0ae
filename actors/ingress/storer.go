package ingress

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Publisher stores a message in the stream and returns when it is there. After
// piccolo.ErrFull it is not; after any other error it may be.
type Publisher interface {
	Publish(context.Context, *piccolo.Message) error
}

// Observer is told of every flush.
type Observer interface {
	Flushed(piccolo.Flush)
}

const (
	// publishTimeout is how long a publish waits for its acknowledgement
	// before it is tried again. A full disk gives no answer at all.
	publishTimeout = 2 * time.Second

	firstRetry = 20 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
)

// storer has messages stored in the stream, one at a time: those of a flusher, or
// those of the spool.
type storer struct {
	bus      Publisher
	observer Observer
	log      *slog.Logger
	state    *atomic.Pointer[error] // why nothing more may be counted, if so
	progress progress
}

// store publishes m until it is acknowledged, and returns false where ctx ends
// before that. The outcome of a publish that failed is unknown: only the same
// bytes under the same id may follow it.
func (s *storer) store(ctx context.Context, m *piccolo.Message) bool {
	start, wait := time.Now(), firstRetry
	for retries := 0; ; retries++ {
		try, cancel := context.WithTimeout(ctx, publishTimeout)
		err := s.bus.Publish(try, m)
		cancel()
		if err == nil || errors.Is(err, piccolo.ErrFull) {
			s.progress.steps.Add(1)
		} else {
			s.progress.unanswered.Add(1)
		}
		if err == nil {
			if retries > 0 {
				s.log.Info("the stream takes batches again", "batch", m.ID, "retries", retries, "after", time.Since(start))
			}
			s.state.CompareAndSwap(&full, nil)
			s.observer.Flushed(piccolo.Flush{
				Keys: m.Keys, Increments: m.Increments, Bytes: len(m.Data), Retries: retries, Took: time.Since(start),
			})
			return true
		}
		if errors.Is(err, piccolo.ErrFull) {
			s.state.CompareAndSwap(nil, &full)
		}
		if retries == 0 {
			s.log.Error("a batch could not be stored, trying again until it is", "batch", m.ID, "error", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
			wait = min(2*wait, lastRetry)
		}
	}
}

// full is what state points to while the stream takes no more.
var full = piccolo.ErrFull
