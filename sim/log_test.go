package sim_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
)

// logger has what a process logs in the trace, if there is one.
//
// The goroutines of a process that was killed end here as in every other place
// where they come upon the world. An ingress that cannot have everything stored
// says so before it writes to its spool, which one that was killed must not.
func (w *world) logger(p *process) slog.Handler {
	h := logger{Handler: slog.NewTextHandler(io.Discard, nil), w: w, p: p}
	if w.trace != nil {
		h.Handler = slog.NewTextHandler(logged{w, p}, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		})
	}
	return h
}

type logger struct {
	slog.Handler
	w *world
	p *process
}

func (l logger) Enabled(context.Context, slog.Level) bool {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.p.exist()
	return l.w.trace != nil
}

// logged takes the lines that a process logs.
type logged struct {
	w *world
	p *process
}

func (l logged) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.p.exist()
	l.w.tell(l.p, "log", 0, 0, text, func() { l.w.logf("%s: %s", l.p.name, text) })
	return len(line), nil
}
