package main

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// From the moment systemd watches, somebody feeds its watchdog: who waits for
// another process, however long that lives, then who takes over, which may take
// a while, and then the notifier. A take-over that hangs is ended.
func TestWatchdogOfStandby(t *testing.T) {
	standBy := func(s *supervisor) *standby {
		w := newStandby(slog.New(slog.DiscardHandler))
		w.send = s.send
		w.waits()
		time.Sleep(time.Second)
		synctest.Wait()
		fedFor(t, s, time.Hour, func() {})
		w.takesOver()
		return w
	}
	t.Run("takes over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := new(supervisor)
			w := standBy(s)
			fedFor(t, s, takeOverLimit-time.Second, func() {})
			n := &notifier{
				log: slog.New(slog.DiscardHandler), send: s.send, watchdog: testWatchdog, standby: w,
				status: func(time.Duration) string { return "fine" }, stop: make(chan struct{}),
			}
			ended := make(chan error)
			go func() { ended <- n.run() }()
			fedFor(t, s, time.Hour, func() {})
			n.Interrupt(nil)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if told := s.told(); told != "READY=1|STATUS=standing by until the other piccolo ends|STATUS=taking over|READY=1|STATUS=fine|STOPPING=1|STATUS=stopping: storing and committing what has been counted" {
				t.Errorf("told %q", told)
			}
			w.over() // again, which is nothing
		})
	})
	t.Run("hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := new(supervisor)
			w := standBy(s)
			fedFor(t, s, takeOverLimit-time.Second, func() {})
			starved(t, s, func() {})
			w.over()
		})
	})
	t.Run("nobody to wait for", func(t *testing.T) {
		newStandby(slog.New(slog.DiscardHandler)).over()
	})
}
