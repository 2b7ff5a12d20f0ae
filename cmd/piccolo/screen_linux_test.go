package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal, and what a program in it has written.
type terminal struct {
	t           *testing.T
	master, tty *os.File

	mu   sync.Mutex
	said strings.Builder
}

func openTerminal(t *testing.T, s size) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	master := os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	term := &terminal{t: t, master: master, tty: tty}
	term.resize(s)
	go func() {
		buf := make([]byte, 4<<10)
		for {
			n, err := master.Read(buf)
			term.mu.Lock()
			term.said.Write(buf[:n])
			term.mu.Unlock()
			if err != nil {
				return // the test is over
			}
		}
	}()
	return term
}

func (m *terminal) resize(s size) {
	m.t.Helper()
	if err := unix.IoctlSetWinsize(int(m.tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(s.height), Col: uint16(s.width)}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *terminal) all() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said.String()
}

func (m *terminal) press(keys string) {
	m.t.Helper()
	if _, err := io.WriteString(m.master, keys); err != nil {
		m.t.Fatal(err)
	}
}

// until waits for something that has been written since before.
func (m *terminal) until(what string, before int, is func(said string) bool) {
	m.t.Helper()
	for end := time.Now().Add(time.Minute); !is(m.all()[before:]); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("no %s: %q", what, m.all()[before:])
		}
	}
}

// echoes says whether the terminal shows what is typed, as a shell needs it.
func (m *terminal) echoes() bool {
	m.t.Helper()
	settings, err := unix.IoctlGetTermios(int(m.tty.Fd()), unix.TCGETS)
	if err != nil {
		m.t.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0 && settings.Lflag&unix.ICANON != 0 && settings.Oflag&unix.OPOST != 0
}

var control = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]`)

// pictures are what was drawn one over the other, each as its lines.
func pictures(said string) (all [][]string) {
	for _, p := range strings.Split(said, "\x1b[H\x1b[2K")[1:] {
		if text, _, whole := strings.Cut(p, "\x1b[J"); whole {
			all = append(all, strings.Split(control.ReplaceAllString(text, ""), "\r\n"))
		}
	}
	return all
}

// top makes a process of top in the terminal.
func (m *terminal) top(nats string) *process {
	top := prepare(m.t, "top", "--nats", nats)
	top.cmd.Args = slices.DeleteFunc(top.cmd.Args, func(arg string) bool { return arg == "--admin" || arg == "127.0.0.1:0" })
	top.cmd.Env = append(top.cmd.Env, "TERM=xterm")
	top.cmd.Stdin, top.cmd.Stdout, top.cmd.Stderr = m.tty, m.tty, m.tty
	top.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // so that it hears of sizes
	return top
}

func (m *terminal) start(p *process) (ended chan error) {
	m.t.Helper()
	if err := p.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	m.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return ended
}

func (m *terminal) ends(ended chan error) {
	m.t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			m.t.Errorf("%v: %q", err, m.all())
		}
	case <-time.After(time.Minute):
		m.t.Fatalf("it goes on: %q", m.all())
	}
}

// Ctrl-Z gives the terminal back to the shell until fg; where there is no shell, as
// in a container, top goes on.
func TestTopIsStoppedForAWhile(t *testing.T) {
	t.Parallel()
	p := startAllInOne(t, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	nats := regexp.MustCompile(`nats://\S+`).FindString(p.greeting)
	drawn := func(said string) bool { return len(pictures(said)) > 0 }
	for _, shell := range []bool{true, false} {
		m := openTerminal(t, size{100, 30})
		top := m.top(nats)
		if shell {
			// Each stop is longer than top waits for one.
			script := `set -m; "$0" "$@"; for n in 1 2; do echo "it is away, $n"; stty -a; sleep 1.5; fg; done; echo it is over`
			top.cmd.Args = append([]string{"sh", "-c", script}, top.cmd.Args...)
			top.cmd.Path = "/bin/sh"
		}
		ended := m.start(top)
		m.until("picture", 0, drawn)
		before := 0
		for n := range 2 {
			before = len(m.all())
			m.press("\x1a")
			left := "\x1b[?1049l"
			m.until("way to the shell's screen", before, func(said string) bool { return strings.Contains(said, left) })
			if shell {
				left = fmt.Sprint("it is away, ", n+1)
				m.until("shell", before, func(said string) bool { return strings.Contains(said, left) })
			}
			m.until("picture after it", before, func(said string) bool { _, after, _ := strings.Cut(said, left); return drawn(after) })
			away, _, _ := strings.Cut(m.all()[before:], "\x1b[?1049h")
			if shell && !regexp.MustCompile(regexp.QuoteMeta(left)+`(?s:.*)[^-]echo\b`).MatchString(away) {
				t.Errorf("the shell does not have its screen back, or does not echo: %q", m.all()[before:])
			}
		}
		m.press("q")
		m.ends(ended)
		if shell { // which has written it, and may not have been read
			m.until("end of the shell", before, func(said string) bool { return strings.Contains(said, "it is over") })
		}
		if !m.echoes() {
			t.Errorf("with a shell, %v, the terminal does not echo: %q", shell, m.all())
		}
	}
	p.stop()
}

// In a terminal top draws pictures that fit, also when that changes; q and Ctrl-C
// end it, and leave the terminal as it was.
func TestTopInATerminal(t *testing.T) {
	t.Parallel()
	p := startAllInOne(t, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	nats := regexp.MustCompile(`nats://\S+`).FindString(p.greeting)
	for n := range 30 {
		increment(t.Context(), p.api, fmt.Sprintf("%s-%d", strings.Repeat("long", 40), n), 5, "applied")
	}
	for _, c := range []struct {
		name, key string
		signal    syscall.Signal
		from, to  size
	}{
		{"q", "q", 0, size{80, 24}, size{160, 50}},
		{"Ctrl-C", "\x03", 0, size{200, 60}, size{60, 20}},
		{"SIGTERM", "", syscall.SIGTERM, size{100, 30}, size{20, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := openTerminal(t, c.from)
			if !m.echoes() {
				t.Fatal("the terminal is raw from the start")
			}
			top := m.top(nats)
			ended := m.start(top)

			fits := func(s size) func(string) bool {
				return func(said string) bool {
					all := pictures(said)
					if len(all) == 0 || len(all[len(all)-1]) < min(s.height, 15) {
						return false // it has not drawn that size yet
					}
					last := all[len(all)-1]
					if len(last) > s.height {
						return false
					}
					widest := 0
					for _, line := range last {
						widest = max(widest, len([]rune(line)))
					}
					return widest <= s.width && widest >= min(s.width-30, 70)
				}
			}
			m.until("picture", 0, fits(c.from))
			if m.echoes() {
				t.Error("what is typed would be in the picture")
			}
			m.press("xyz\x1b[A") // nothing
			before := len(m.all())
			m.resize(c.to)
			m.until("picture of another size", before, fits(c.to))

			if c.signal != 0 {
				if err := top.cmd.Process.Signal(c.signal); err != nil {
					t.Fatal(err)
				}
			} else {
				m.press(c.key)
			}
			m.ends(ended)
			m.until("way back to the shell's screen", 0, func(said string) bool { return strings.HasSuffix(said, "\x1b[?7h\x1b[?25h\x1b[?1049l") })
			if !m.echoes() {
				t.Error("it leaves the terminal raw")
			}
		})
	}
	t.Cleanup(p.stop)
}
