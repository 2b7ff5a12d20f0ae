package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress tells on w how an attack goes: on a terminal in one line that is
// written over, elsewhere in a line now and then.
type progress struct {
	w    io.Writer
	live bool
}

func newProgress(w io.Writer) progress {
	f, ok := w.(*os.File)
	return progress{w, ok && term.IsTerminal(int(f.Fd()))}
}

// every is the time between two lines.
func (p progress) every() time.Duration {
	if p.live {
		return 200 * time.Millisecond
	}
	return 5 * time.Second
}

// eraseLine goes to the start of a terminal's line and erases it.
const eraseLine = "\r\x1b[K"

func (p progress) show(elapsed time.Duration, t *tally) {
	line := fmt.Sprintf("%.1f s  %s acknowledged, %s refused, %s unknown", elapsed.Seconds(),
		grouped(t.outcomes[acknowledged]), grouped(t.outcomes[refused]), grouped(t.outcomes[unknown]))
	if p.live {
		line = eraseLine + line
	} else {
		line += "\n"
	}
	_, _ = io.WriteString(p.w, line)
}

// done leaves a clean line to whoever writes next.
func (p progress) done() {
	if p.live {
		_, _ = io.WriteString(p.w, eraseLine)
	}
}
