package main

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// standby is a process that waits for another to end and takes over from it. As
// it was started for that, it has started: systemd is told READY=1, the watchdog
// runs from then on, and is fed here, until the notifier does.
type standby struct {
	log  *slog.Logger
	send func(state string)

	begun         sync.Once
	ended         sync.Once
	since         atomic.Int64 // when it began to take over, Unix time in ns; 0 while it waits
	stop, stopped chan struct{}
}

// takeOverLimit is how long it may take to take over: as long as a start of the
// writer's unit. To wait for the other takes as long as that lives.
const takeOverLimit = 5 * time.Minute

func newStandby(log *slog.Logger) *standby {
	return &standby{
		log:  log,
		send: func(state string) { notify(log, state) },
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// waits tells that there is another to wait for.
func (s *standby) waits() {
	s.since.Store(0)
	s.send(daemon.SdNotifyReady + "\nSTATUS=standing by until the other piccolo ends")
	s.begun.Do(func() { go s.feed() })
}

// takesOver tells that the other has ended.
func (s *standby) takesOver() {
	s.since.Store(time.Now().UnixNano())
	s.send("STATUS=taking over")
}

// over returns when somebody else may feed the watchdog.
func (s *standby) over() {
	s.ended.Do(func() { close(s.stop) })
	s.begun.Do(func() { close(s.stopped) }) // there was nobody to wait for
	<-s.stopped
}

// feed feeds the watchdog, but not in a take-over that hangs.
func (s *standby) feed() {
	defer close(s.stopped)
	tick := time.NewTicker(notifyEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if since := s.since.Load(); since == 0 || time.Since(time.Unix(0, since)) < takeOverLimit {
				s.send(daemon.SdNotifyWatchdog)
			}
		case <-s.stop:
			return
		}
	}
}
