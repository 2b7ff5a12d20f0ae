// Package admin is the operator's listener: the page, metrics, health, pprof. It
// stands apart from the API's, on loopback by default.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"
)

// Check is one line of the health report.
type Check struct {
	Name string
	Err  func(context.Context) error
}

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

// ready says whether every check passes, a line each with ?verbose.
func ready(w http.ResponseWriter, r *http.Request, checks []Check) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	var report strings.Builder
	failed := false
	for _, c := range checks {
		if err := c.Err(ctx); err != nil {
			failed = true
			fmt.Fprintf(&report, "[-] %s: %s\n", c.Name, strings.ReplaceAll(err.Error(), "\n", ": "))
		} else {
			fmt.Fprintf(&report, "[+] %s: ok\n", c.Name)
		}
	}
	status, last := http.StatusOK, "ready"
	if failed {
		status, last = http.StatusServiceUnavailable, "not ready"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if failed || r.URL.Query().Has("verbose") {
		_, _ = io.WriteString(w, report.String())
	}
	_, _ = fmt.Fprintln(w, last)
}
