package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// lastError remembers the last error that was logged, for the others to see.
type lastError struct {
	mu   sync.Mutex
	text string
	at   time.Time
}

// get returns the error and when it was logged.
func (l *lastError) get() (string, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text, l.at
}

// keepErrors returns a logger that does what log does, and what it last logged
// as an error.
func keepErrors(log *slog.Logger) (*slog.Logger, *lastError) {
	last := new(lastError)
	return slog.New(errorKeeper{log.Handler(), last}), last
}

type errorKeeper struct {
	slog.Handler
	last *lastError
}

func (k errorKeeper) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		var text strings.Builder
		text.WriteString(r.Message)
		r.Attrs(func(a slog.Attr) bool {
			text.WriteString(", " + a.Key + " " + a.Value.String())
			return true
		})
		k.last.mu.Lock()
		k.last.text, k.last.at = text.String(), r.Time
		k.last.mu.Unlock()
	}
	return k.Handler.Handle(ctx, r)
}

func (k errorKeeper) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorKeeper{k.Handler.WithAttrs(attrs), k.last}
}

func (k errorKeeper) WithGroup(name string) slog.Handler {
	return errorKeeper{k.Handler.WithGroup(name), k.last}
}
