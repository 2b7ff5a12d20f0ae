package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// supervisor is what systemd would have been told.
type supervisor struct {
	mu     sync.Mutex
	states []string
	fed    time.Time // when it last got WATCHDOG=1
}

func (s *supervisor) send(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.SplitSeq(state, "\n") {
		if line == "WATCHDOG=1" {
			s.fed = time.Now()
		} else {
			s.states = append(s.states, line)
		}
	}
}

// hungry is for how long the watchdog has not been fed.
func (s *supervisor) hungry() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.fed)
}

func (s *supervisor) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.states, "|")
}

// work is a loop of two parts, as the watchdog sees it.
type work struct {
	mu    sync.Mutex
	parts [2]piccolo.Progress
}

func (w *work) set(change func(parts *[2]piccolo.Progress)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.parts)
}

func (w *work) progress() []piccolo.Progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	parts := w.parts
	return parts[:]
}

const testWatchdog = time.Minute

// watched runs a notifier in a bubble of fake time.
func watched(t *testing.T, test func(t *testing.T, n *notifier, s *supervisor, w *work)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, w := new(supervisor), new(work)
		n := &notifier{
			log: slog.New(slog.DiscardHandler), send: s.send, watchdog: testWatchdog,
			status: func(time.Duration) string { return "fine" },
			loops:  []*loop{{name: "loop", progress: w.progress}},
			stop:   make(chan struct{}),
		}
		ended := make(chan error)
		go func() { ended <- n.run() }()
		test(t, n, s, w)
		n.Interrupt(nil)
		n.Interrupt(nil) // again, which is nothing
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if told := s.told(); strings.Count(told, "STOPPING=1") != 1 {
			t.Errorf("told %q", told)
		}
	})
}

// fedFor checks that the watchdog never starves for a while.
func fedFor(t *testing.T, s *supervisor, d time.Duration, meanwhile func()) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		synctest.Wait()
		if hungry := s.hungry(); hungry >= testWatchdog {
			t.Fatalf("the watchdog has starved for %s", hungry)
		}
		meanwhile()
	}
}

// starved checks that the watchdog starves from now on, and not at once.
func starved(t *testing.T, s *supervisor, meanwhile func()) {
	t.Helper()
	start := time.Now()
	for s.hungry() < testWatchdog {
		if time.Since(start) > 2*testWatchdog {
			t.Fatal("the watchdog is still fed")
		}
		meanwhile()
		time.Sleep(time.Second)
		synctest.Wait()
	}
	if took := time.Since(start); took < testWatchdog-notifyEvery {
		t.Errorf("the watchdog starved after %s already", took)
	}
}

// A service with nothing to do stands still and is well.
func TestWatchdogOfIdle(t *testing.T) {
	watched(t, func(t *testing.T, _ *notifier, s *supervisor, _ *work) {
		fedFor(t, s, time.Hour, func() {})
		if told := s.told(); told != "READY=1|STATUS=fine" {
			t.Errorf("told %q", told)
		}
	})
}

// One that is slow is well too, however seldom its parts move at once.
func TestWatchdogOfSlow(t *testing.T) {
	watched(t, func(t *testing.T, _ *notifier, s *supervisor, w *work) {
		second := 0
		fedFor(t, s, time.Hour, func() {
			second++
			w.set(func(parts *[2]piccolo.Progress) {
				for i := range parts {
					parts[i].Waiting = true
					if second%25 == 7*i {
						parts[i].Steps++
					}
				}
			})
		})
	})
}

// One part that is stuck with work waiting starves the watchdog, whatever the
// others get done; and it is fed again when the part moves.
func TestWatchdogOfStuck(t *testing.T) {
	watched(t, func(t *testing.T, _ *notifier, s *supervisor, w *work) {
		fedFor(t, s, time.Hour, func() {})
		starved(t, s, func() {
			w.set(func(parts *[2]piccolo.Progress) {
				parts[0] = piccolo.Progress{Steps: parts[0].Steps + 1, Waiting: true}
				parts[1] = piccolo.Progress{Unanswered: parts[1].Unanswered + 1, Waiting: true}
			})
		})
		w.set(func(parts *[2]piccolo.Progress) { parts[1].Steps++ })
		time.Sleep(time.Second)
		synctest.Wait()
		fedFor(t, s, testWatchdog/2, func() {})
	})
}

// A loop that depends on other machines is not stuck while it goes on asking,
// and is when it does not.
func TestWatchdogOfPatient(t *testing.T) {
	watched(t, func(t *testing.T, n *notifier, s *supervisor, w *work) {
		n.loops[0].patient = true
		w.set(func(parts *[2]piccolo.Progress) { parts[0].Waiting = true })
		fedFor(t, s, time.Hour, func() {
			w.set(func(parts *[2]piccolo.Progress) { parts[0].Unanswered++ })
		})
		starved(t, s, func() {})
	})
}

// A disk that is full excuses, for as long as it is.
func TestWatchdogOfExcused(t *testing.T) {
	watched(t, func(t *testing.T, n *notifier, s *supervisor, w *work) {
		var mu sync.Mutex
		full := errors.New("no room")
		n.loops[0].excuse = func() error {
			mu.Lock()
			defer mu.Unlock()
			return full
		}
		w.set(func(parts *[2]piccolo.Progress) { parts[0].Waiting = true })
		fedFor(t, s, time.Hour, func() {})
		mu.Lock()
		full = nil
		mu.Unlock()
		starved(t, s, func() {})
	})
}

// Nobody is told READY=1 before every check passes, and whoever looks sees why.
func TestNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(supervisor)
		passes := make(chan struct{})
		n := &notifier{
			log: slog.New(slog.DiscardHandler), send: s.send, stop: make(chan struct{}),
			status: func(time.Duration) string { return "fine" },
			checks: []admin.Check{{Name: "writer", Err: func(context.Context) error {
				select {
				case <-passes:
					return nil
				default:
					return errors.New("subscribed to 0 of 1 partitions")
				}
			}}},
		}
		ended := make(chan error)
		go func() { ended <- n.run() }()
		time.Sleep(time.Hour)
		if told := s.told(); told != "STATUS=starting, writer: subscribed to 0 of 1 partitions" {
			t.Errorf("told %q", told)
		}
		close(passes)
		time.Sleep(time.Second)
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if told := s.told(); !strings.HasSuffix(told, "|READY=1|STATUS=fine") {
			t.Errorf("told %q", told)
		}
		n.Interrupt(nil)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
