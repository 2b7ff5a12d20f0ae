package bus

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Who waits for a cluster that has no leader says so, every few seconds, goes on
// for as long as it may, and names the likely reason at the end.
func TestAgainSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	silence := func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	noLeader := func(context.Context) (int, error) {
		return 0, &jetstream.APIError{Code: 503, ErrorCode: 10008, Description: "JetStream system temporarily unavailable"}
	}
	for name, request := range map[string]func(context.Context) (int, error){"silence": silence, "no leader": noLeader} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				b := &Bus{log: slog.New(slog.NewTextHandler(&log, nil))}
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				_, err := again(ctx, b, request)
				if err == nil || !strings.Contains(err.Error(), "most of the servers must run") {
					t.Errorf("got error %v", err)
				}
				if late := errors.Is(err, context.DeadlineExceeded); late != (name == "silence") {
					t.Errorf("the deadline is among the reasons of %v: %t", err, late)
				}
				if took := time.Since(start); took != 30*time.Second {
					t.Errorf("gave up after %s", took)
				}
				if said := strings.Count(log.String(), "waiting for JetStream"); said < 3 || said > 6 {
					t.Errorf("said %d times:\n%s", said, log.String())
				}

				asked := 0
				answer, err := again(t.Context(), b, func(ctx context.Context) (int, error) {
					if asked++; asked < 20 {
						return request(ctx)
					}
					return 42, nil
				})
				if answer != 42 || err != nil {
					t.Errorf("%d, %v", answer, err)
				}
			})
		})
	}
}

// What is answered otherwise is not asked again.
func TestAgainTakesAnAnswer(t *testing.T) {
	t.Parallel()
	asked := 0
	_, err := again(t.Context(), &Bus{log: slog.New(slog.DiscardHandler)}, func(context.Context) (int, error) {
		asked++
		return 0, jetstream.ErrStreamNotFound
	})
	if !errors.Is(err, jetstream.ErrStreamNotFound) || asked != 1 {
		t.Errorf("asked %d times, %v", asked, err)
	}
}

// Too few servers are too few, once those of a cluster have had time to find one
// another: who asked is told of that, and not that nobody answers.
func TestAgainBelievesInTooFewServers(t *testing.T) {
	t.Parallel()
	for _, allowed := range []time.Duration{5 * time.Second, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), allowed)
			defer cancel()
			start := time.Now()
			_, err := again(ctx, &Bus{log: slog.New(slog.DiscardHandler)}, func(context.Context) (int, error) {
				return 0, &jetstream.APIError{Code: 400, ErrorCode: 10005, Description: "no suitable peers for placement"}
			})
			if !errors.Is(err, errTooFew) || errors.Is(err, errNoQuorum) || !strings.Contains(err.Error(), "no suitable peers") {
				t.Errorf("within %s: got error %v", allowed, err)
			}
			if took := time.Since(start); took != min(allowed, settling) {
				t.Errorf("within %s: gave up after %s", allowed, took)
			}
		})
	}
}
