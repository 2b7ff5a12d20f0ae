package main

import (
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
)

// reloader is an actor that has files read again whenever the process gets
// SIGHUP. From newReloader on the signal kills nothing, however early or late
// in the process's life it comes.
type reloader struct {
	log     *slog.Logger
	files   []reloaded
	hangups chan os.Signal
	stop    chan struct{}
	once    sync.Once
}

// reloaded is what a file says. When Reload fails it is what it was before.
type reloaded struct {
	what string
	file interface{ Reload() error }
}

func newReloader(log *slog.Logger) *reloader {
	r := &reloader{log: log, hangups: make(chan os.Signal, 1), stop: make(chan struct{})}
	signal.Notify(r.hangups, syscall.SIGHUP)
	return r
}

// add has a file read again at each signal. It comes before Execute.
func (r *reloader) add(what string, file interface{ Reload() error }) {
	r.files = append(r.files, reloaded{what, file})
}

// Execute waits for signals.
func (r *reloader) Execute() error {
	for {
		select {
		case <-r.hangups:
			r.reload()
		case <-r.stop:
			return nil
		}
	}
}

func (r *reloader) reload() {
	notify(r.log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
	defer notify(r.log, daemon.SdNotifyReady)
	if len(r.files) == 0 {
		r.log.Info("SIGHUP: there is nothing to reload, neither --tokens nor --tls-cert is set")
	}
	for _, f := range r.files {
		if err := f.file.Reload(); err != nil {
			r.log.Error("reload failed, what was read before stays in use: correct the file, and send SIGHUP", "what", f.what, "error", err)
		} else {
			r.log.Info("reloaded", "what", f.what)
		}
	}
}

// Interrupt stops the actor.
func (r *reloader) Interrupt(error) { r.once.Do(func() { close(r.stop) }) }
