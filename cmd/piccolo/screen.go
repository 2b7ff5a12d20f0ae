package main

import (
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// screen is a terminal on which one picture comes over the other, while the keys
// that are typed are heard. Its channels are nil where there is none.
type screen struct {
	in, out   *os.File
	before    *term.State // nil where the input is no terminal
	keys      chan byte
	sizes     chan os.Signal
	continued chan os.Signal
}

// isTerminal says whether a screen can be opened.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

func openScreen(in, out *os.File) (*screen, error) {
	s := &screen{in: in, out: out, keys: make(chan byte), sizes: make(chan os.Signal, 1), continued: make(chan os.Signal, 1)}
	if err := s.enter(); err != nil {
		return nil, err
	}
	signal.Notify(s.sizes, syscall.SIGWINCH)
	signal.Notify(s.continued, syscall.SIGCONT)
	if s.before != nil {
		go s.listen()
	}
	return s, nil
}

// enter takes another screen than the shell's, without a cursor, on which long
// lines are not broken, and keys that come one by one.
func (s *screen) enter() (err error) {
	if term.IsTerminal(int(s.in.Fd())) {
		if s.before, err = term.MakeRaw(int(s.in.Fd())); err != nil {
			return err
		}
	}
	_, err = io.WriteString(s.out, "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[J")
	return err
}

// close leaves the terminal as it was.
func (s *screen) close() {
	_, _ = io.WriteString(s.out, "\x1b[?7h\x1b[?25h\x1b[?1049l")
	if s.before != nil {
		_ = term.Restore(int(s.in.Fd()), s.before)
	}
}

// listen hears keys until the input or the process ends.
func (s *screen) listen() {
	buf := make([]byte, 16)
	for {
		n, err := s.in.Read(buf)
		for _, key := range buf[:n] {
			s.keys <- key
		}
		if err != nil {
			return
		}
	}
}

// What a terminal sends for a key with Ctrl.
const (
	ctrlC = 'C' & 0x1f
	ctrlZ = 'Z' & 0x1f
)

// key does what a key is for, and says whether that is to end.
func (s *screen) key(key byte) (end bool) {
	switch key {
	case 'q', 'Q', ctrlC:
		return true
	case ctrlZ:
		s.close()
		select { // what continued it after the second was over must not end this stop before it begins
		case <-s.continued:
		default:
		}
		_ = syscall.Kill(0, syscall.SIGTSTP)
		select {
		case <-s.continued:
		case <-time.After(time.Second): // no shell is there to stop it for, as in a container: it goes on
		}
		return s.enter() != nil
	}
	return false
}

func (s *screen) typed() <-chan byte {
	if s == nil {
		return nil
	}
	return s.keys
}

func (s *screen) resized() <-chan os.Signal {
	if s == nil {
		return nil
	}
	return s.sizes
}

func (s *screen) size() size {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width < 1 || height < 1 {
		return size{80, 24}
	}
	return size{width, height}
}

func (s *screen) show(p picture) error { return s.say(p.text(s.size(), true)) }

// say replaces what is on the screen.
func (s *screen) say(text string) error {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	lines = lines[:min(len(lines), s.size().height)]
	_, err := io.WriteString(s.out, "\x1b[H\x1b[2K"+strings.Join(lines, "\r\n\x1b[2K")+"\x1b[J")
	return err
}
