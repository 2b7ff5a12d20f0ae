package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// newLogger makes a logger for whoever reads: text, with colours on a terminal
// and with journald's levels under systemd, or JSON for programs.
func newLogger(w io.Writer, format, level string) *slog.Logger {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		panic(err) // the grammar allows slog's names only
	}
	file, _ := w.(*os.File)
	switch {
	case format == "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least}))
	case format == "auto" && file != nil && isJournal(file):
		return slog.New(newJournalHandler(w, least))
	default:
		plain := file == nil || !term.IsTerminal(int(file.Fd())) || os.Getenv("NO_COLOR") != ""
		return slog.New(tint.NewTextHandler(w, &tint.Options{
			Level: least, TimeFormat: time.DateOnly + " " + time.TimeOnly + ".000", NoColor: plain,
		}))
	}
}

// isJournal says whether f is the stream to journald that systemd gave this
// process: JOURNAL_STREAM names its device and inode.
func isJournal(f *os.File) bool {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// journalHandler writes a line with the level in front that journald strips
// and files it under, as sd-daemon(3) says: one text handler per level.
type journalHandler map[slog.Level]slog.Handler

func newJournalHandler(w io.Writer, least slog.Level) slog.Handler {
	h := make(journalHandler)
	for level, prefix := range map[slog.Level]string{
		slog.LevelDebug: "<7>", slog.LevelInfo: "<6>", slog.LevelWarn: "<4>", slog.LevelError: "<3>",
	} {
		h[level] = slog.NewTextHandler(prefixer{w, prefix}, &slog.HandlerOptions{
			Level: least,
			ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
				if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
					return slog.Attr{} // the journal has its own
				}
				return a
			},
		})
	}
	return h
}

// at returns the handler for a level, which may lie between the named ones.
func (h journalHandler) at(level slog.Level) slog.Handler {
	switch {
	case level >= slog.LevelError:
		return h[slog.LevelError]
	case level >= slog.LevelWarn:
		return h[slog.LevelWarn]
	case level >= slog.LevelInfo:
		return h[slog.LevelInfo]
	}
	return h[slog.LevelDebug]
}

func (h journalHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.at(level).Enabled(ctx, level)
}

func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.at(r.Level).Handle(ctx, r)
}

func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.each(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (h journalHandler) WithGroup(name string) slog.Handler {
	return h.each(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (h journalHandler) each(f func(slog.Handler) slog.Handler) slog.Handler {
	out := make(journalHandler, len(h))
	for level, handler := range h {
		out[level] = f(handler)
	}
	return out
}

// prefixer puts prefix before what it writes, which is a line.
type prefixer struct {
	w      io.Writer
	prefix string
}

func (p prefixer) Write(line []byte) (int, error) {
	_, err := p.w.Write(append([]byte(p.prefix), line...))
	return len(line), err
}
