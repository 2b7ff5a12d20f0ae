package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress is a line on a terminal that says how far it is.
type progress struct {
	w      *os.File // nil where nobody would see it
	size   int64    // of the input, 0 where that is unknown
	read   int64
	start  time.Time
	shown  time.Time
	onLine bool
}

func newProgress(in *os.File, w io.Writer) *progress {
	p := &progress{start: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = f
	}
	if info, err := in.Stat(); err == nil && info.Mode().IsRegular() {
		p.size = info.Size()
	}
	return p
}

// show draws it, a few times a second.
func (p *progress) show(counted int) {
	if p.w == nil || time.Since(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown, p.onLine = time.Now(), true
	columns, _, err := term.GetSize(int(p.w.Fd()))
	if err != nil || columns <= 0 {
		columns = 80
	}
	_, _ = fmt.Fprint(p.w, "\r\033[K"+p.text(counted, time.Since(p.start), columns))
}

// text is the line, short enough to stay one: what has been wrapped could not
// be taken away.
func (p *progress) text(counted int, took time.Duration, columns int) string {
	text := fmt.Sprintf("%s counted, %s/s", grouped(counted), grouped(int(float64(counted)/max(took, time.Millisecond).Seconds())))
	if p.size > 0 {
		done := min(float64(p.read)/float64(p.size), 1)
		text = fmt.Sprintf("%3.0f %%  %s", math.Floor(100*done), text)
		if width := min(columns-len(text)-4, 30); width >= 5 {
			full := int(done * float64(width))
			text = fmt.Sprintf("[%s%s] %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), text)
		}
	}
	return text[:min(len(text), max(columns-1, 0))]
}

// end takes it away.
func (p *progress) end() {
	if p.onLine {
		_, _ = fmt.Fprint(p.w, "\r\033[K")
		p.onLine = false
	}
}
