// Command matrix makes the table of docs/reliability.md from the figures that
// runs of the fault suite have left:
//
//	PICCOLO_FIGURES=/tmp/figures.jsonl go test -count=1 -timeout 0 ./faults
//	go run ./faults/matrix /tmp/figures.jsonl          # prints it
//	go run ./faults/matrix --write /tmp/figures.jsonl  # puts it into the page
//
// Runs add up. A run that failed, or lost or doubled what it must not, makes no
// table.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/piccolo-counter/piccolo/faults"
)

// document is where the table stands, between two comments.
const (
	document = "docs/reliability.md"
	begin    = "<!-- matrix -->\n"
	end      = "<!-- /matrix -->"
)

// rows are those of the matrix, from 1.
var rows = []string{
	"kill -9, at any moment and at every crash point",
	"power cut",
	"the network to NATS",
	"processes that stand still; any order of delivery",
	"published again",
	"the stream is not what it was",
	"no room",
	"failing writes and fsyncs",
	"the database",
	"the clock",
	"clients that attack",
	"SIGTERM and SIGINT",
	"and beyond",
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	write := len(args) > 0 && args[0] == "--write"
	if write {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("give the files that PICCOLO_FIGURES named")
	}
	var all []faults.Figures
	for _, path := range args {
		more, err := read(path)
		if err != nil {
			return err
		}
		all = append(all, more...)
	}
	text, err := table(all)
	if err != nil || !write {
		fmt.Fprint(out, text)
		return err
	}
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no place for the table: it needs the lines %s and %s", document, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(document, []byte(before+begin+text+end+after), 0o644)
}

func read(path string) (all []faults.Figures, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var f faults.Figures
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		all = append(all, f)
	}
	return all, lines.Err()
}

// total is the figures of all runs of one fault.
type total struct {
	faults.Figures
	with []string
}

// table adds the figures up and writes them as Markdown.
func table(all []faults.Figures) (string, error) {
	var totals []*total
	for _, f := range all {
		if err := acceptable(f); err != nil {
			return "", fmt.Errorf("%s, %q: %w", f.Test, f.Fault, err)
		}
		i := slices.IndexFunc(totals, func(t *total) bool { return t.Row == f.Row && t.Fault == f.Fault })
		if i < 0 {
			i = len(totals)
			totals = append(totals, &total{Figures: faults.Figures{Row: f.Row, Fault: f.Fault, Test: f.Test}})
		}
		totals[i].add(f)
	}
	slices.SortStableFunc(totals, func(a, b *total) int {
		return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Test, b.Test), cmp.Compare(a.Fault, b.Fault))
	})
	var b strings.Builder
	b.WriteString("| fault | times | acknowledged | lost | doubled | away, p50 | at most | repeat with |\n|---|---:|---:|---:|---:|---:|---:|---|\n")
	row := 0
	for _, t := range totals {
		if t.Row != row {
			row = t.Row
			fmt.Fprintf(&b, "| **%d. %s** | | | | | | | |\n", row, rows[row-1])
		}
		lost := grouped(t.Lost)
		if t.MustLose {
			lost += " \\*"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", t.Fault, grouped(t.Times), grouped(t.Acknowledged),
			lost, grouped(t.Doubled), t.away(0.5), t.away(1), t.command())
	}
	return b.String(), nil
}

func acceptable(f faults.Figures) error {
	switch {
	case f.Failed:
		return errors.New("the test failed")
	case f.Times < 1:
		return errors.New("the fault was never made")
	case f.Row < 1 || f.Row > len(rows):
		return fmt.Errorf("there is no row %d", f.Row)
	case f.Doubled > 0, f.Wrong > 0, f.Lost > 0 && !f.MustLose:
		return fmt.Errorf("%d lost, %d doubled, %d keys wrong", f.Lost, f.Doubled, f.Wrong)
	case f.Lost == 0 && f.MustLose:
		return errors.New("nothing was lost, so it proves nothing")
	}
	return nil
}

func (t *total) add(f faults.Figures) {
	t.Times += f.Times
	t.Acknowledged += f.Acknowledged
	t.Lost += f.Lost
	t.Doubled += f.Doubled
	t.MustLose = f.MustLose
	t.Away = append(t.Away, f.Away...)
	if f.With != "" && !slices.Contains(t.with, f.With) {
		t.with = append(t.with, f.With)
	}
}

// away is a quantile of the times that the service was away.
func (t *total) away(q float64) string {
	n := len(t.Away)
	if n == 0 {
		return ""
	}
	slices.Sort(t.Away)
	return fmt.Sprintf("%.2f s", t.Away[int(math.Ceil(q*float64(n)))-1])
}

// command is what go test ./faults is to be given.
func (t *total) command() string {
	text := "`" + t.Test + "`"
	if len(t.with) > 0 {
		slices.Sort(t.with)
		text += " with `" + strings.Join(t.with, "`, `") + "`"
	}
	return text
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
