// Package admin is the operator's listener: the page, metrics, health, pprof. It
// stands apart from the API's, on loopback by default.
package admin

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// Admin is the actor. Make it with New.
type Admin struct {
	listener net.Listener
	server   *http.Server
}

// Config is what the admin's listener shows.
type Config struct {
	Metrics    *Metrics
	Checks     []Check
	Deployment *Deployment
	Lookup     Lookup
	Log        *slog.Logger
}

// New makes the admin server. It serves once Execute runs.
func New(l net.Listener, c Config) *Admin {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", c.Metrics.handler())
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, c.Checks) })
	(&live{c.Deployment, c.Lookup, make(chan struct{}, watchers)}).routes(mux)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &Admin{
		listener: l,
		server: &http.Server{
			Handler:           guard(onLoopback(l.Addr()), mux),
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
		},
	}
}

// Addr is where the server listens.
func (a *Admin) Addr() net.Addr { return a.listener.Addr() }

// Execute serves until Interrupt is called.
func (a *Admin) Execute() error {
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Interrupt stops the actor. Nobody who watches is waited for.
func (a *Admin) Interrupt(error) { _ = a.server.Close() }
