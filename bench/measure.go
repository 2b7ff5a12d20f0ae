package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type bench struct {
	cli
	dir, self, piccolo string
}

// result is what one case came to in one run.
type result struct {
	increments float64       // a second
	cpu        float64       // of the server, ns per increment
	p50, p99   time.Duration // of the reply
	freshness  histogram     // accepted to committed
	rss        int           // KiB
	ratio      float64       // of cpu, to a no-op request's at the same time
	rows       float64       // per increment
	commits    float64       // a second
	folded     float64       // of the increments, when the load ends; the rest is backlog
}

// A subject is a server and a load for it.
type subject struct {
	start  func(*stage) error
	load   func(*stage, time.Duration) (loaded, error)
	scrape string // the address that has the service's metrics, if any
}

// measure starts the servers of a subject, warms them up, and measures them.
func (b *bench) measure(k subject) (r result, err error) {
	s, err := b.newStage()
	if err != nil {
		return r, err
	}
	defer s.stop()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %s", err, s.said())
		}
	}()
	if err := k.start(s); err != nil {
		return r, err
	}
	if _, err := k.load(s, time.Second); err != nil {
		return r, err
	}
	before, err := metrics(k.scrape)
	if err != nil {
		return r, err
	}
	cpu, start := s.cpu(), time.Now()
	l, err := k.load(s, b.For)
	if err != nil {
		return r, err
	}
	took := time.Since(start)
	r.rss = s.rss()
	if l.increments == 0 {
		return r, errors.New("nothing was counted in time")
	}
	r.cpu = float64((s.cpu() - cpu).Nanoseconds()) / float64(l.increments)
	r.increments = float64(l.increments) / took.Seconds()
	r.p50, r.p99 = l.p50, l.p99
	after, err := metrics(k.scrape)
	if err != nil {
		return r, err
	}
	r.freshness = after.freshness.minus(before.freshness)
	r.commits = (after.commits - before.commits) / took.Seconds()
	if n := after.increments - before.increments; n > 0 {
		r.rows = (after.rows - before.rows) / n
		r.folded = min(n/float64(l.increments), 1)
	}
	return r, nil
}

// allInOne is the whole service in the process that is measured.
func (b *bench) allInOne(load func(api string) func(*stage, time.Duration) (loaded, error), flags ...string) subject {
	api, admin := freeAddr(), freeAddr()
	return subject{
		start: func(s *stage) error {
			err := s.serve(b.piccolo, append([]string{"all-in-one", "--data", filepath.Join(s.dir, "data"),
				"--listen", api, "--admin", admin, "--nats-listen", "off"}, flags...)...)
			if err != nil {
				return err
			}
			return waitFor("http://" + admin + "/readyz")
		},
		load:   load(api),
		scrape: admin,
	}
}

// ingressAlone has the stream elsewhere, on the core of the load, and no writer:
// that would take from the load what the ingress is to be given.
func (b *bench) ingressAlone(load func(api string) func(*stage, time.Duration) (loaded, error)) subject {
	api, nats := freeAddr(), freeAddr()
	return subject{
		start: func(s *stage) error {
			if _, err := s.launch(loadCore, b.self, "serve", "nats", nats, "--dir", filepath.Join(s.dir, "jetstream")); err != nil {
				return err
			}
			if err := listening(nats); err != nil {
				return err
			}
			if out, err := exec.Command(b.piccolo, "stream", "init", "--nats", "nats://"+nats).CombinedOutput(); err != nil {
				return fmt.Errorf("stream init: %w: %s", err, out)
			}
			admin := freeAddr()
			err := s.serve(b.piccolo, "ingress", "--data", filepath.Join(s.dir, "ingress"),
				"--listen", api, "--admin", admin, "--nats", "nats://"+nats)
			if err != nil {
				return err
			}
			return waitFor("http://" + admin + "/readyz")
		},
		load: load(api),
	}
}

// noop is this program, serving nothing.
func (b *bench) noop(engine string, load func(api string) func(*stage, time.Duration) (loaded, error)) subject {
	api := freeAddr()
	return subject{
		start: func(s *stage) error {
			if err := s.serve(b.self, "serve", engine, api); err != nil {
				return err
			}
			return listening(api)
		},
		load: load(api),
	}
}

// listening returns when something accepts connections at addr.
func listening(addr string) (err error) {
	for range 600 {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", addr, time.Second); err == nil {
			return c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

func waitFor(url string) (err error) {
	for range 1200 {
		var reply *http.Response
		if reply, err = http.Get(url); err == nil {
			_ = reply.Body.Close()
			if reply.StatusCode < 300 {
				return nil
			}
			err = fmt.Errorf("%s: status %s", url, reply.Status)
		}
		time.Sleep(25 * time.Millisecond)
	}
	return err
}

// figures are what the service's metrics say.
type figures struct {
	freshness                          histogram
	increments, rows, commits, flushes float64
}

func metrics(admin string) (f figures, err error) {
	f.freshness = make(histogram)
	if admin == "" {
		return f, nil
	}
	reply, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return f, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return f, err
	}
	for line := range strings.SplitSeq(string(body), "\n") {
		name, text, _ := strings.Cut(line, " ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		switch {
		case strings.HasPrefix(name, `piccolo_freshness_seconds_bucket{le="`):
			bound, _ := strconv.ParseFloat(strings.TrimSuffix(name[len(`piccolo_freshness_seconds_bucket{le="`):], `"}`), 64)
			f.freshness[bound] = value
		case name == "piccolo_folded_increments_total":
			f.increments = value
		case name == "piccolo_folded_rows_total":
			f.rows = value
		case name == "piccolo_commit_seconds_count":
			f.commits = value
		case name == "piccolo_flush_seconds_count":
			f.flushes = value
		}
	}
	return f, nil
}
