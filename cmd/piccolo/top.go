package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/piccolo-counter/piccolo/actors/admin"
)

// topCmd shows in a terminal what the page shows: rates, times, the hottest keys
// and every process, from what all of them report over NATS.
type topCmd struct {
	natsFlags `embed:""`

	Count int  `help:"Stop after that many seconds; 0 goes on until Ctrl-C." default:"0" placeholder:"N"`
	JSON  bool `name:"json" help:"Print a line of JSON a second."`
}

// firstReports is how long the first picture waits: rates need two reports.
const firstReports = 2*reportEvery + reportEvery/4

func (c *topCmd) Run(log *slog.Logger, out output) error {
	conn, err := c.connect("top", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	d := admin.NewDeployment()
	stop, err := conn.Reports(d.Take)
	if err != nil {
		return err
	}
	defer stop()
	screen := newScreen(out.stdout)
	defer screen.close()
	next := time.NewTimer(firstReports)
	defer next.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
			next.Reset(reportEvery)
		}
		d.Tick(time.Now())
		s, _ := d.Now()
		if len(s.Processes) == 0 && n == 1 && !screen.terminal {
			return broken(fmt.Errorf("no process reports on %s: is a piccolo running there?", c.NATS))
		}
		if c.JSON {
			err = json.NewEncoder(out.stdout).Encode(s)
		} else {
			err = screen.show(topText(s, d.Points(), screen.width(), screen.terminal))
		}
		if err != nil || n == c.Count {
			return err
		}
	}
}

// screen is where top draws: a terminal, over what was there before, or anything
// else, one picture after another.
type screen struct {
	out      io.Writer
	fd       int
	terminal bool
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		s.fd, s.terminal = int(f.Fd()), true
		_, _ = io.WriteString(out, "\x1b[?1049h\x1b[?25l") // another screen, no cursor
	}
	return s
}

func (s *screen) close() {
	if s.terminal {
		_, _ = io.WriteString(s.out, "\x1b[?25h\x1b[?1049l")
	}
}

func (s *screen) width() int {
	if width, _, err := term.GetSize(s.fd); s.terminal && err == nil && width > 0 {
		return width
	}
	return 240 // whoever reads it breaks no lines
}

func (s *screen) show(text string) error {
	if s.terminal {
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		if _, height, err := term.GetSize(s.fd); err == nil && len(lines) > height {
			lines = lines[:height]
		}
		text = "\x1b[H" + strings.Join(lines, "\x1b[K\n") + "\x1b[K\x1b[J"
	} else {
		text += "\n"
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// topText draws one picture.
func topText(s admin.Snapshot, points []admin.Point, width int, colour bool) string {
	paint := func(code, text string) string {
		if !colour || os.Getenv("NO_COLOR") != "" {
			return text
		}
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	var b strings.Builder
	p, c := &s.Point, &s.Conservation
	mark := paint("32", "✓")
	switch {
	case c.Broken > 0:
		mark = paint("31;1", fmt.Sprintf("✗ %s up: run piccolo verify", plural(c.Broken, "increment does not add", "increments do not add")))
	case !c.Followed:
		mark = "no writer reports on this"
	}
	fmt.Fprintf(&b, "%s  %s  %s\n", paint("1", "piccolo"), time.UnixMilli(p.At).Format(time.TimeOnly), plural(len(s.Processes), "process", "processes"))
	fmt.Fprintf(&b, "accepted %s = in memory %s + backlog %s + folded %s  %s\n\n",
		grouped(c.Accepted), grouped(c.InMemory), grouped(c.Backlog), grouped(c.Folded), mark)

	spark := max(min(width-58, 60), 10)
	line := func(name, value string, read func(*admin.Point) float64) {
		fmt.Fprintf(&b, "%-22s %30s  %s\n", name, value, paint("36", sparkline(points, spark, read)))
	}
	line("requests/s", fmt.Sprintf("%.0f", p.Memory+p.Stored+p.Applied), func(p *admin.Point) float64 { return p.Memory + p.Stored + p.Applied })
	line("increments/s accepted", fmt.Sprintf("%.0f", p.Accepted), func(p *admin.Point) float64 { return p.Accepted })
	line("batches/s stored", fmt.Sprintf("%.0f, %s/s", p.Batches, bytesText(uint64(p.Bytes))), func(p *admin.Point) float64 { return p.Batches })
	line("increments/s folded", fmt.Sprintf("%.0f", p.Folded), func(p *admin.Point) float64 { return p.Folded })
	line("rows/s", fmt.Sprintf("%.0f in %.0f commits", p.Rows, p.Commits), func(p *admin.Point) float64 { return p.Rows })
	line("increments/batch, /row", ratioText(p.BatchGear)+", "+ratioText(p.RowGear), func(p *admin.Point) float64 { return valueOf(p.RowGear) })
	backlog := "unknown"
	if p.Backlog != nil {
		backlog = plural(*p.Backlog, "batch", "batches")
	}
	line("backlog", backlog, func(p *admin.Point) float64 {
		if p.Backlog == nil {
			return 0
		}
		return float64(*p.Backlog)
	})
	for _, t := range []struct {
		name string
		read func(*admin.Point) *admin.Times
	}{
		{"freshness p50, p99", func(p *admin.Point) *admin.Times { return &p.Freshness }},
		{"reply p50, p99", func(p *admin.Point) *admin.Times { return &p.Reply }},
		{"flush p50, p99", func(p *admin.Point) *admin.Times { return &p.Flush }},
		{"commit p50, p99", func(p *admin.Point) *admin.Times { return &p.Commit }},
	} {
		now := t.read(p)
		line(t.name, timeText(now.P50)+", "+timeText(now.P99), func(p *admin.Point) float64 { return valueOf(t.read(p).P99) })
	}

	fmt.Fprintf(&b, "\n%-40s %14s %22s\n", paint("1", "hottest keys"), "moves/s", "value")
	for _, h := range s.Hottest[:min(len(s.Hottest), 10)] {
		value := "-"
		if h.Value != nil {
			value = grouped(*h.Value)
		}
		fmt.Fprintf(&b, "%-40s %14.1f %22s\n", cut(visible(h.Key), 40), h.Moved, value)
	}

	fmt.Fprintf(&b, "\n%-11s %-24s %9s %10s %10s %9s  %s\n", "role", "where", "up", "accepts/s", "folds/s", "backlog", "state")
	for _, p := range s.Processes {
		colour, state := "32", "ready"
		switch {
		case p.Silent > 0:
			colour, state = "31", "silent for "+ageText(seconds(p.Silent))
		case p.Unready != "":
			colour, state = "31", "not ready, "+p.Unready
		case p.Warning != "":
			colour, state = "33", p.Warning
		}
		if p.Error != "" {
			state += "; last error " + ageText(time.Since(time.UnixMilli(p.ErrorAt))) + " ago: " + p.Error
		}
		backlog := ""
		if p.Backlog != nil {
			backlog = grouped(*p.Backlog)
		}
		fmt.Fprintf(&b, "%-11s %-24s %9s %10.0f %10.0f %9s  %s\n", p.Role, cut(fmt.Sprintf("%s:%d", p.Host, p.PID), 24),
			ageText(time.Since(time.UnixMilli(p.Started)).Round(time.Second)), p.Accepted, p.Folded, backlog, paint(colour, cut(harmless(state), max(width-80, 30))))
	}
	return b.String()
}

// sparkline draws the last points as bars, the largest of them as high as may
// be.
func sparkline(points []admin.Point, width int, read func(*admin.Point) float64) string {
	points = points[max(0, len(points)-width):]
	most := 0.0
	for i := range points {
		most = max(most, read(&points[i]))
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for i := range points {
		level := 0
		if most > 0 {
			level = int(math.Round(read(&points[i]) / most * float64(len(bars)-1)))
		}
		b.WriteRune(bars[level])
	}
	return b.String()
}

// cut shortens a text to n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func valueOf(f *float64) float64 {
	if f == nil {
		return 0
	}
	return *f
}

func ratioText(f *float64) string {
	if f == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *f)
}

func timeText(ms *float64) string {
	if ms == nil {
		return "-"
	}
	return time.Duration(*ms * float64(time.Millisecond)).Round(10 * time.Microsecond).String()
}
