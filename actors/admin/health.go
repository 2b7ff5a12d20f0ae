package admin

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// Check is one thing that a process looks at to know how it is.
type Check struct {
	Name string
	Err  func(context.Context) error
	// Warns says that an error is worth knowing, and keeps nobody from work: the
	// process is ready all the same.
	Warns bool
}

// State is how something is.
type State string

// States, from best to worst.
const (
	OK      State = "ok"
	Warning State = "warning"
	Wrong   State = "wrong"
)

// Finding is what a check found, on one line.
type Finding struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Says  string `json:"says"`
}

// Health is what all checks found. Whoever tells of it, wherever, tells these
// lines: that is how a word can be looked for in another place.
type Health []Finding

// Examine looks at all of the checks, for two seconds at most.
func Examine(ctx context.Context, checks []Check) (h Health) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, c := range checks {
		f := Finding{c.Name, OK, "ok"}
		if err := c.Err(ctx); err != nil {
			f.State, f.Says = Wrong, strings.ReplaceAll(err.Error(), "\n", ": ")
			if c.Warns {
				f.State = Warning
			}
		}
		h = append(h, f)
	}
	return h
}

// Ready says whether nothing is wrong.
func (h Health) Ready() bool { return h.In(Wrong) == "" }

// In joins what is in a state, as in "nats: no connection; disk: 1 KiB is free".
func (h Health) In(s State) string {
	var says []string
	for _, f := range h {
		if f.State == s {
			says = append(says, f.Name+": "+f.Says)
		}
	}
	return strings.Join(says, "; ")
}

var marks = map[State]string{OK: "[+]", Warning: "[!]", Wrong: "[-]"}

// String is a line for each finding, and whether the process is ready.
func (h Health) String() string {
	var b strings.Builder
	for _, f := range h {
		b.WriteString(marks[f.State] + " " + f.Name + ": " + f.Says + "\n")
	}
	b.WriteString(h.verdict())
	return b.String()
}

func (h Health) verdict() string {
	if h.Ready() {
		return "ready\n"
	}
	return "not ready\n"
}

// ParseHealth reads what String wrote.
func ParseHealth(s string) Health {
	h := Health{}
	for line := range strings.Lines(s) {
		mark, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, says, ok := strings.Cut(rest, ": ")
		for state, m := range marks {
			if ok && m == mark {
				h = append(h, Finding{name, state, says})
			}
		}
	}
	return h
}

// ready answers whether the process does its work, a line for each check with
// ?verbose or where it does not.
func ready(w http.ResponseWriter, r *http.Request, checks []Check) {
	h := Examine(r.Context(), checks)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !h.Ready() {
		w.WriteHeader(http.StatusServiceUnavailable)
	} else if !r.URL.Query().Has("verbose") {
		_, _ = io.WriteString(w, h.verdict())
		return
	}
	_, _ = io.WriteString(w, h.String())
}
