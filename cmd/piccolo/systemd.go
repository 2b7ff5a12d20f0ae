package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd of the service's state, where systemd started it. There
// is nothing to be done about a failure but to say so.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd cannot be told", "state", state, "error", err)
	}
}

var processStarted = time.Now()

// leastLife is how long a process lives that systemd started and that fails.
const leastLife = time.Second

// lastWords leaves with systemd why the process failed, for systemctl status to
// show. As long as a client waits at its socket, systemd starts a service again
// at once, whatever RestartSec= says: one that fails at its start must not do
// that many times a second.
func lastWords(err error) {
	if !notified() {
		return
	}
	_, _ = daemon.SdNotify(false, "STATUS="+failure(err))
	time.Sleep(time.Until(processStarted.Add(leastLife)))
}

// failure is how a process that failed ended, on one line.
func failure(err error) string {
	return "failed, " + strings.ReplaceAll(explained(err).Error(), "\n", ": ")
}

// notified says whether systemd wants to be told.
func notified() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// listenAPI opens the API's listener, or takes the one that systemd holds for
// this service: that one outlives the process, so a restart refuses no
// connection.
func listenAPI(log *slog.Logger, addr string) (net.Listener, error) {
	held, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("the API cannot take systemd's socket: %w", err)
	}
	switch {
	case len(held) == 0:
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("the API cannot listen on %s: %w: choose another address with --listen", addr, err)
		}
		return l, nil
	case len(held) > 1 || held[0] == nil:
		return nil, errors.New("the API takes one socket of systemd, for a stream: leave one ListenStream= in the socket unit")
	}
	log.Info("the API listens on systemd's socket: the socket unit says where, not --listen", "listen", held[0].Addr().String())
	return held[0], nil
}
