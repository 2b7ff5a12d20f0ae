package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/piccolo-counter/piccolo/actors/admin"
	"github.com/piccolo-counter/piccolo/bus"
)

// topCmd shows in a terminal what the page shows: rates, times, the hottest keys
// and every process, from what all of them report over NATS.
type topCmd struct {
	natsFlags `embed:""`

	Count int  `help:"Stop after that many seconds; 0 goes on until q or Ctrl-C." default:"0" placeholder:"N"`
	JSON  bool `name:"json" help:"Print a line of JSON a second."`
}

// firstReports is how long the first picture waits: rates need two reports.
const firstReports = 2*reportEvery + reportEvery/4

func (c *topCmd) Run(log *slog.Logger, out output) error {
	terminal, server := !c.JSON && isTerminal(out.stdout), bus.Redacted(c.NATS)
	if terminal {
		log = slog.New(slog.DiscardHandler) // what the connection would say is in the picture
	}
	conn, err := c.connect("top", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	d := admin.NewDeployment()
	stop, err := conn.Reports("", d.Take)
	if err != nil {
		return err
	}
	defer stop()
	show := func(p picture) error { _, err := fmt.Fprintln(out.stdout, p.text(wide, false)); return err }
	if c.JSON {
		show = func(p picture) error { return json.NewEncoder(out.stdout).Encode(p.Snapshot) }
	}
	var screen *screen // nil where there is none
	if terminal {
		if screen, err = openScreen(os.Stdin, out.stdout.(*os.File)); err != nil {
			return err
		}
		defer screen.close()
		show = screen.show
		if err := screen.say("listening to " + server); err != nil {
			return err
		}
	}
	now := picture{nats: server}
	next := time.NewTimer(firstReports)
	defer next.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case key := <-screen.typed():
			if screen.key(key) {
				return nil
			}
			continue
		case <-screen.resized():
			if n == 0 {
				continue
			}
		case <-next.C:
			next.Reset(reportEvery)
			d.Tick(time.Now())
			now.Snapshot, _ = d.Now()
			now.points, now.away = d.Points(), conn.Check(ctx)
			if len(now.Processes) == 0 && n == 0 && !terminal {
				return broken(fmt.Errorf("no process reports on %s: is a piccolo running there?", server))
			}
			n++
		}
		if err := show(now); err != nil || n == c.Count {
			return err
		}
	}
}

// picture is what top shows.
type picture struct {
	admin.Snapshot
	points []admin.Point // oldest first
	nats   string        // the server's URL
	away   error         // why that does not answer
}

// size is how many characters and lines there are.
type size struct{ width, height int }

// wide is for whoever breaks no lines.
var wide = size{math.MaxInt, math.MaxInt}

// painter makes text colourful, or not.
type painter bool

const (
	bold  = "1"
	red   = "31"
	green = "32"
	amber = "33"
	cyan  = "36"
)

func (p painter) paint(code, text string) string {
	if !p || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// text draws the picture: figures, keys and processes, and of the last two as
// many as fit.
func (p *picture) text(s size, colour bool) string {
	paint := painter(colour && os.Getenv("NO_COLOR") == "")
	lines := append(p.heading(paint), "")
	lines = append(append(lines, p.figures(s.width, paint)...), "")
	blocks := p.processes(s.width, paint)
	rest := s.height - len(lines)
	if keys := min(rest-3-linesOf(blocks), 10, len(p.Hottest)); keys > 0 {
		lines = append(append(lines, p.hottest(keys, s.width, paint)...), "")
		rest = s.height - len(lines)
	}
	lines = append(lines, paint.paint(bold, "  "+row(s.width, "role", "where", "version", "up", "accepts/s", "folds/s", "in memory", "backlog", "fresh, p99", "state")))
	lines = append(lines, fit(blocks, rest-1)...)
	for i := range lines {
		lines[i] = clip(lines[i], s.width)
	}
	return strings.Join(lines, "\n") + "\n"
}

func (p *picture) heading(paint painter) []string {
	c := &p.Conservation
	mark, wrong := paint.paint(green, "✓"), ""
	switch {
	case p.away != nil:
		mark, wrong = paint.paint(red, "✗"), fmt.Sprintf("%s: %v", p.nats, p.away)
	case len(p.Processes) == 0:
		mark, wrong = " ", "no process reports on "+p.nats+": is a piccolo running there?"
	case c.Broken > 0:
		mark, wrong = paint.paint(red, "✗"), plural(c.Broken, "increment does not add", "increments do not add")+" up: run piccolo verify"
	case c.LostBatches > 0:
		mark, wrong = paint.paint(red, "✗"), lostFinding(c.LostBatches).Error()+": run piccolo verify"
	case !c.Followed:
		mark, wrong = " ", "no writer reports on all of this"
	}
	lines := []string{
		fmt.Sprintf("%s  %s  %s", paint.paint(bold, "piccolo"), time.UnixMilli(p.Point.At).Format(time.TimeOnly), plural(len(p.Processes), "process", "processes")),
		fmt.Sprintf("%s accepted %s = in memory %s + published %s", mark, grouped(c.Accepted), grouped(c.InMemory), grouped(c.Published)),
		fmt.Sprintf("  published %s = backlog %s + folded %s", grouped(c.Published), grouped(c.Backlog), grouped(c.Folded)),
	}
	if c.Lost > 0 {
		lines[2] += " + lost " + grouped(c.Lost)
	}
	if wrong != "" {
		lines = append(lines, paint.paint(red, "  "+harmless(wrong)))
	}
	if n := len(p.Unserved); n > 0 && p.away == nil {
		lines = append(lines, paint.paint(amber, "  no writer reports on "+partitionsText(p.Unserved)))
	}
	return lines
}

// partitionsText names partitions, the first of many.
func partitionsText(partitions []int) string {
	if len(partitions) == 1 {
		return fmt.Sprintf("partition %d", partitions[0])
	}
	var names []string
	for _, p := range partitions[:min(len(partitions), 8)] {
		names = append(names, strconv.Itoa(p))
	}
	if more := len(partitions) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return "partitions " + strings.Join(names, ", ")
}

func (p *picture) figures(width int, paint painter) (lines []string) {
	now, spark := &p.Point, max(min(width-48, 60), 1)
	line := func(name, value string, read func(*admin.Point) float64) {
		lines = append(lines, fmt.Sprintf("%-22s %23s  %s", name, value, paint.paint(cyan, sparkline(p.points, spark, read))))
	}
	line("requests/s", fmt.Sprintf("%.0f", now.Memory+now.Stored+now.Applied), func(p *admin.Point) float64 { return p.Memory + p.Stored + p.Applied })
	line("increments/s accepted", fmt.Sprintf("%.0f", now.Accepted), func(p *admin.Point) float64 { return p.Accepted })
	line("batches/s stored", fmt.Sprintf("%.0f, %s/s", now.Batches, bytesText(uint64(now.Bytes))), func(p *admin.Point) float64 { return p.Batches })
	line("increments/s folded", fmt.Sprintf("%.0f", now.Folded), func(p *admin.Point) float64 { return p.Folded })
	line("rows/s", fmt.Sprintf("%.0f in %.0f commits", now.Rows, now.Commits), func(p *admin.Point) float64 { return p.Rows })
	line("increments/batch, /row", ratioText(now.BatchGear)+", "+ratioText(now.RowGear), func(p *admin.Point) float64 { return valueOf(p.RowGear) })
	backlog := "unknown"
	if now.Backlog != nil {
		backlog = plural(*now.Backlog, "batch", "batches")
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
		now := t.read(now)
		line(t.name, timeText(now.P50)+", "+timeText(now.P99), func(p *admin.Point) float64 { return valueOf(t.read(p).P99) })
	}
	return lines
}

// hottest are n of the hottest keys.
func (p *picture) hottest(n, width int, paint painter) []string {
	key := min(max(width-38, 12), 60)
	lines := []string{paint.paint(bold, fmt.Sprintf("%-*s %14s %22s", key, "hottest keys", "moves/s", "value"))}
	for _, h := range p.Hottest[:n] {
		value := "-"
		if h.Value != nil {
			value = grouped(*h.Value)
		}
		lines = append(lines, fmt.Sprintf("%-*s %14.1f %22s", key, cut(visible(h.Key), key), h.Moved, value))
	}
	return lines
}

// stateRoom is from how wide a terminal on a process's state stands beside it, and
// not below.
const stateRoom = 140

// columns are those of the list of processes, each from some width of the
// terminal on.
var columns = []struct{ width, from int }{
	{-10, 0}, {-22, 0}, {-12, 110}, {8, 0}, {9, 0}, {9, 0}, {9, 95}, {8, 0}, {10, 95}, {0, stateRoom},
}

// row lays out the cells for which there is room.
func row(width int, cells ...string) string {
	var b strings.Builder
	for i, cell := range cells {
		c := columns[i]
		switch {
		case width < c.from:
		case c.width == 0:
			b.WriteString(" " + cell)
		default:
			fmt.Fprintf(&b, "%*s ", c.width, cut(cell, max(c.width, -c.width)))
		}
	}
	return b.String()
}

// block is what there is to say of a process.
type block struct {
	lines   []string
	trouble int
}

func linesOf(blocks []block) (n int) {
	for _, b := range blocks {
		n += len(b.lines)
	}
	return n
}

// fit leaves out what does not fit into so many lines, whoever is well before
// whoever is not.
func fit(blocks []block, height int) (lines []string) {
	if linesOf(blocks) > height {
		slices.SortStableFunc(blocks, func(a, b block) int { return b.trouble - a.trouble })
	}
	for i, b := range blocks {
		if left := linesOf(blocks[i:]); left > height-len(lines) && len(lines)+len(b.lines) > height-1 {
			return append(lines, fmt.Sprintf("  and %d more", len(blocks)-i))
		}
		lines = append(lines, b.lines...)
	}
	return lines
}

// processes are a block for each.
func (p *picture) processes(width int, paint painter) (blocks []block) {
	for i := range p.Processes {
		p := &p.Processes[i]
		accepts, inMemory, folds, backlog, fresh := "", "", "", "", ""
		if p.Role != "writer" {
			accepts, inMemory = fmt.Sprintf("%.0f", p.Accepted), grouped(p.InMemory)
		}
		if p.Role != "ingress" {
			folds, backlog, fresh = fmt.Sprintf("%.0f", p.Folded), "unknown", timeText(p.Fresh)
			if p.Backlog != nil {
				backlog = grouped(*p.Backlog)
			}
		}
		version, _, _ := strings.Cut(harmless(p.Version), "+")
		how := conditionOf(p)
		says := how.says
		if p.Error != "" {
			says += "; last error " + ageText(time.Since(time.UnixMilli(p.ErrorAt))) + " ago: " + p.Error
		}
		says = paint.paint(how.colour, harmless(says))
		b := block{trouble: how.trouble, lines: []string{paint.paint(how.colour, how.mark) + " " + row(width,
			harmless(p.Role), harmless(fmt.Sprintf("%s:%d", p.Host, p.PID)), version, ageText(time.Since(time.UnixMilli(p.Started)).Round(time.Second)),
			accepts, folds, inMemory, backlog, fresh, says)}}
		if width < stateRoom && (how.trouble > 0 || p.Error != "") {
			b.lines = append(b.lines, "  "+says)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// condition is how a process is, or how it ended.
type condition struct {
	trouble            int // the more, the worse
	colour, mark, says string
}

func conditionOf(p *admin.Process) condition {
	ago := func() string {
		return ", " + ageText(time.Since(time.UnixMilli(p.EndedAt)).Round(time.Second)) + " ago"
	}
	switch {
	case p.Ended == "stopped":
		return condition{1, "", "-", p.Ended + ago()}
	case p.Ended != "":
		return condition{4, red, "✗", p.Ended + ago()}
	case p.Silent > 0:
		return condition{4, red, "✗", "silent for " + ageText(seconds(p.Silent))}
	case p.Unready != "":
		return condition{3, red, "✗", "not ready, " + p.Unready}
	case p.Warning != "":
		return condition{2, amber, "!", p.Warning}
	}
	return condition{0, green, "✓", "ready"}
}

// clip cuts a line to width characters; what controls the terminal is none.
func clip(line string, width int) string {
	var b strings.Builder
	n, control := 0, false
	for _, r := range line {
		switch {
		case r == '\x1b':
			control = true
		case control:
			control = r != 'm'
			b.WriteRune(r)
			continue
		default:
			if n++; n > width {
				continue
			}
		}
		b.WriteRune(r)
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
