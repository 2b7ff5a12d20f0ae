package faults_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildJumping builds the service with a wall clock that jumps where a file
// says, at SIGUSR2, as the clock of a machine does that somebody sets: all of
// the process sees it, the NATS server too. The monotonic clock goes on as it
// does then. The standard library is replaced for that, and nothing of the
// service.
var buildJumping = sync.OnceValues(func() (string, error) {
	dir := filepath.Dir(binary)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	library := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(library)
	if err != nil {
		return "", err
	}
	const read = "\tsec, nsec, mono := runtimeNow()\n"
	jumping := strings.Replace(string(text), read, read+"\tsec += Jumped\n", 1)
	if jumping == string(text) {
		return "", fmt.Errorf("%s reads the clock in another way than with %q", library, read)
	}
	jumping += "\n// Jumped is how far the clock has jumped, in seconds.\nvar Jumped int64\n"
	const jumper = `package main

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func init() {
	jump := func() {
		if text, err := os.ReadFile(os.Getenv("FAULTS_CLOCK")); err == nil {
			time.Jumped, _ = strconv.ParseInt(string(text), 10, 64)
		}
	}
	jump()
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	go func() {
		for range c {
			jump()
		}
	}()
}
`
	command, err := filepath.Abs("../cmd/piccolo/jump.go") // which is in the overlay alone
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		library: filepath.Join(dir, "time.go"),
		command: filepath.Join(dir, "jump.go"),
	}})
	if err != nil {
		return "", err
	}
	for name, content := range map[string]string{"time.go": jumping, "jump.go": jumper, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "piccolo-jumping")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path, "../cmd/piccolo")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the service with another clock: %w\n%s", err, out)
	}
	return path, nil
})

// The machine's clock is set forward and back under load, by seconds and by
// years, and the service starts with a clock that is behind what it wrote:
// nothing is lost or counted twice, and nothing is needed.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	if os.Getenv("PICCOLO_CLOCK") == "" {
		t.Skip("it compiles everything anew, which takes minutes: PICCOLO_CLOCK=1 go test -timeout 1h -run TestClockJumps ./faults")
	}
	path, err := buildJumping()
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, "--partitions=2")
	s.binary = path
	clock := filepath.Join(t.TempDir(), "clock")
	env := "FAULTS_CLOCK=" + clock
	b := newBook()
	l := s.load(b, 4, "stored", "applied", "memory")
	day := 24 * time.Hour
	for _, restart := range []bool{false, true} {
		if err := os.WriteFile(clock, []byte("0"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.start(env)
		for _, jump := range []time.Duration{2 * time.Second, -2 * time.Second, time.Hour, -time.Hour, 400 * day, -400 * day} {
			l.await(s, counted, 30)
			if err := os.WriteFile(clock, []byte(strconv.Itoa(int(jump.Seconds()))), 0o600); err != nil {
				t.Fatal(err)
			}
			if !restart {
				s.signal(syscall.SIGUSR2)
			} else {
				s.stop()
				s.start(env)
			}
			l.await(s, counted, 30)
		}
		s.stop()
	}
	l.stop()
	b.settled()
	if err := os.WriteFile(clock, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(env)
	s.quiet()
	s.undisturbed()
	s.stop()
	b.check(t, s.contents())
	if sure, _, _ := b.totals(); s.contents().increments != sure {
		t.Errorf("%d increments were counted, and %d acknowledged", s.contents().increments, sure)
	}
}
