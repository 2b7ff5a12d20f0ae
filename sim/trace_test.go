package sim_test

import (
	"fmt"
	"strings"
	"time"
)

// trace is what happened in a run, a line each. A nil trace keeps nothing,
// which is most of what makes a run fast.
type trace struct {
	start time.Time
	lines []string
}

func (t *trace) begin() {
	if t != nil {
		t.start = time.Now()
	}
}

func (t *trace) logf(format string, args ...any) {
	if t != nil {
		at := time.Since(t.start).Seconds() * 1000
		t.lines = append(t.lines, fmt.Sprintf("%14.6fms  %s", at, fmt.Sprintf(format, args...)))
	}
}

// last returns the last n lines.
func (t *trace) last(n int) string { return t.around(len(t.lines)-n, len(t.lines)) }

// around returns the lines from one to another, as far as there are.
func (t *trace) around(from, to int) string {
	from, to = max(from, 0), min(to, len(t.lines))
	return strings.Join(t.lines[min(from, to):to], "\n")
}

// differs returns the first line that is another in the two.
func (t *trace) differs(o *trace) (line int, same bool) {
	for i := range max(len(t.lines), len(o.lines)) {
		if t.around(i, i+1) != o.around(i, i+1) {
			return i, false
		}
	}
	return 0, true
}
