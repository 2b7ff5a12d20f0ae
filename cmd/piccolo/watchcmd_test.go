package main

import (
	"bufio"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watching is piccolo watch in a process of its own.
type watching struct {
	t     *testing.T
	lines *bufio.Scanner
	end   func() error // interrupts it
}

func watchPiccolo(t *testing.T, args ...string) *watching {
	t.Helper()
	cmd := asPiccolo(t, append([]string{"watch"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	return &watching{t, bufio.NewScanner(stdout), func() error {
		defer late.Stop()
		_ = cmd.Process.Signal(syscall.SIGINT)
		return cmd.Wait()
	}}
}

func (w *watching) line() string {
	w.t.Helper()
	if !w.lines.Scan() {
		w.t.Fatalf("it ended: %v", w.lines.Err())
	}
	return w.lines.Text()
}

// Who watches sees the totals that there are, each change and each removal, until
// Ctrl-C, which is no failure.
func TestWatchCommand(t *testing.T) {
	p := startAllInOne(t, "--listen", "127.0.0.1:0")
	do := func(args ...string) {
		t.Helper()
		if code, _, stderr := piccoloRun(t, append(args, "--server", p.api)...); code != 0 {
			t.Fatalf("%q: exit %d, %s", args, code, stderr)
		}
	}
	do("incr", "user:1")
	w := watchPiccolo(t, "--prefix", "user:", "--server", p.api)
	if got := w.line(); got != "user:1\t1" {
		t.Errorf("at the beginning: %q", got)
	}
	do("incr", "other")
	do("incr", "user:1", "5")
	if got := w.line(); got != "user:1\t6" {
		t.Errorf("after an increment: %q", got)
	}
	do("clear", "user:1")
	if got := w.line(); got != "user:1\t" {
		t.Errorf("after it was removed: %q", got)
	}
	if err := w.end(); err != nil {
		t.Errorf("interrupted: %v", err)
	}

	// Of changes alone, what there was is left out.
	do("set", "user:2", "100")
	w = watchPiccolo(t, "user:2", "--changes", "--json", "--server", p.api)
	seen := make(chan string, 1)
	go func() {
		w.lines.Scan()
		seen <- w.lines.Text()
	}()
	for n := 1; ; n++ { // until it is there to see one
		do("incr", "user:2")
		select {
		case got := <-seen:
			var value int
			if _, err := fmt.Sscanf(got, `{"key":"user:2","value":%d}`, &value); err != nil || value <= 100 || value > 100+n || !strings.HasSuffix(got, "}") {
				t.Errorf("the first change: %q", got)
			}
			if err := w.end(); err != nil {
				t.Errorf("interrupted: %v", err)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
