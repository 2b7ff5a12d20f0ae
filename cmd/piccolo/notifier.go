package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/piccolo-counter/piccolo/actors/admin"
)

// notifier is an actor that tells systemd, or another who asks in its way, how
// the service is: READY=1 once every check passes, STATUS= once a second, and
// WATCHDOG=1 as long as the loops get on with their work.
type notifier struct {
	log    *slog.Logger
	send   func(state string)
	checks []admin.Check
	loops  []*loop
	status func(past time.Duration) string // what happened within that time

	// watchdog is after how long without a WATCHDOG=1 the service is stopped
	// and started again; 0 where nobody watches.
	watchdog time.Duration

	// standby feeds the watchdog until the service is ready; nil where systemd
	// does not watch before that.
	standby *standby

	stop chan struct{}
	once sync.Once
}

// newNotifier makes a notifier for the process that systemd started. It does
// nothing in any other.
func newNotifier(log *slog.Logger) (*notifier, error) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("systemd's watchdog: %w", err)
	}
	return &notifier{
		log:      log,
		send:     func(state string) { notify(log, state) },
		status:   func(time.Duration) string { return "" },
		watchdog: limit,
		stop:     make(chan struct{}),
	}, nil
}

const (
	startCheckEvery = 50 * time.Millisecond
	notifyEvery     = time.Second
)

// Execute tells until it is interrupted.
func (n *notifier) Execute() error {
	if !notified() {
		<-n.stop
		return nil
	}
	return n.run()
}

func (n *notifier) run() error {
	if !n.ready() {
		return nil
	}
	if n.standby != nil {
		n.standby.over()
	}
	n.send(daemon.SdNotifyReady)
	tick := time.NewTicker(min(notifyEvery, n.tenth()))
	defer tick.Stop()
	last, before := time.Now(), ""
	for {
		var states []string
		if n.watchdog > 0 && n.progressing(time.Now()) {
			states = append(states, daemon.SdNotifyWatchdog)
		}
		if past := time.Since(last); past >= notifyEvery {
			last = time.Now()
			if status := n.line(past); status != before {
				states, before = append(states, "STATUS="+status), status
			}
		}
		if len(states) > 0 {
			n.send(strings.Join(states, "\n"))
		}
		select {
		case <-tick.C:
		case <-n.stop:
			return nil
		}
	}
}

// line is how the service is: first what is wrong, last what is worth knowing.
func (n *notifier) line(past time.Duration) string {
	h := admin.Examine(context.Background(), n.checks)
	status := n.status(past)
	if wrong := h.In(admin.Wrong); wrong != "" {
		status = "not ready, " + wrong + " | " + status
	}
	if warning := h.In(admin.Warning); warning != "" {
		status += " | warning, " + warning
	}
	return status
}

// tenth of the watchdog's time is the most that may pass between two looks.
func (n *notifier) tenth() time.Duration {
	if n.watchdog == 0 {
		return notifyEvery
	}
	return n.watchdog / 10
}

// ready returns when every check passes, or false when there is to be a stop
// before that.
func (n *notifier) ready() bool {
	tick := time.NewTicker(startCheckEvery)
	defer tick.Stop()
	before := ""
	for {
		wrong := admin.Examine(context.Background(), n.checks).In(admin.Wrong)
		if wrong == "" {
			return true
		}
		if status := "starting, " + wrong; status != before {
			n.send("STATUS=" + status)
			before = status
		}
		select {
		case <-tick.C:
		case <-n.stop:
			return false
		}
	}
}

// progressing says whether no loop is stuck.
func (n *notifier) progressing(now time.Time) bool {
	ok := true
	for _, l := range n.loops {
		ok = l.progressing(n.log, now, n.watchdog/2) && ok // each must be looked at
	}
	return ok
}

// Interrupt stops the actor, and has systemd know that the service stops.
func (n *notifier) Interrupt(error) {
	n.once.Do(func() {
		n.send(daemon.SdNotifyStopping + "\nSTATUS=stopping: storing and committing what has been counted")
		close(n.stop)
	})
}
