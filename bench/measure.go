package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type bench struct {
	cli
	dir, self, piccolo string
}

// result is what one case came to in one run.
type result struct {
	requests  float64       // a second
	cpu       time.Duration // of the server, per request
	p50, p99  time.Duration // of the reply
	freshness histogram     // accepted to committed
	rss       int           // KiB, before the load
	rows      float64       // per increment
}

const serverCore, loadCore = "0", "1"

// measure starts the servers of a case, warms them up, and measures them.
func (b *bench) measure(k benchCase) (r result, err error) {
	dir, err := os.MkdirTemp(b.dir, k.name)
	if err != nil {
		return r, err
	}
	api, admin := freeAddr(), freeAddr()
	measured, scrape, stop, err := b.start(k, dir, api, admin)
	defer func() { stop() }()
	if err != nil {
		return r, err
	}
	if err := waitFor("http://" + api + "/increment?key=warm&value=0"); err != nil {
		return r, err
	}
	time.Sleep(time.Second) // let the start settle, to read the idle memory
	r.rss = rss(measured.Process.Pid)

	load := b.wrk
	if k.rate > 0 {
		load = b.trickle
	}
	if _, err := load(k, dir, api, time.Second); err != nil {
		return r, err
	}
	before, err := metrics(scrape)
	if err != nil {
		return r, err
	}
	cpu, start := cpuTime(measured.Process.Pid), time.Now()
	l, err := load(k, dir, api, b.For)
	if err != nil {
		return r, err
	}
	took := time.Since(start)
	if l.requests > 0 {
		r.cpu = (cpuTime(measured.Process.Pid) - cpu) / time.Duration(l.requests)
	}
	r.requests = float64(l.requests) / took.Seconds()
	r.p50, r.p99 = l.p50, l.p99
	after, err := metrics(scrape)
	if err != nil {
		return r, err
	}
	r.freshness = after.freshness.minus(before.freshness)
	if n := after.increments - before.increments; n > 0 {
		r.rows = (after.rows - before.rows) / n
	}
	return r, nil
}

// start starts what a case needs: the process that is measured on a core of its
// own, everything else on the core of the load.
func (b *bench) start(k benchCase, dir, api, admin string) (measured *exec.Cmd, scrape string, stop func(), err error) {
	var started []*exec.Cmd
	stop = func() {
		for _, cmd := range slices.Backward(started) {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}
	launch := func(core, program string, args ...string) (*exec.Cmd, error) {
		log, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.log", len(started))))
		if err != nil {
			return nil, err
		}
		cmd := exec.Command("taskset", append([]string{"-c", core, program}, args...)...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		started = append(started, cmd)
		return cmd, nil
	}
	switch k.kind {
	case noop:
		measured, err = launch(serverCore, b.self, "--noop", api)
		return measured, "", stop, err
	case allInOne:
		measured, err = launch(serverCore, b.piccolo, "all-in-one",
			"--data", dir, "--listen", api, "--admin", admin, "--nats-listen", "off")
		return measured, admin, stop, err
	}
	// An all-in-one elsewhere is the NATS server and the writer of the ingress.
	nats, elsewhere, rest := freeAddr(), freeAddr(), filepath.Join(dir, "rest")
	if _, err = launch(loadCore, b.piccolo, "all-in-one",
		"--data", rest, "--listen", freeAddr(), "--admin", elsewhere, "--nats-listen", nats); err != nil {
		return nil, "", stop, err
	}
	if err = waitFor("http://" + elsewhere + "/readyz"); err != nil {
		return nil, "", stop, err
	}
	measured, err = launch(serverCore, b.piccolo, "ingress",
		"--data", filepath.Join(dir, "ingress"), "--listen", api, "--admin", admin, "--nats", "nats://"+nats)
	return measured, elsewhere, stop, err
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // loopback is always there
	}
	defer l.Close()
	return l.Addr().String()
}

func waitFor(address string) error {
	var err error
	for range 200 {
		var reply *http.Response
		if strings.Contains(address, "/increment") {
			reply, err = http.Post(address, "", nil)
		} else {
			reply, err = http.Get(address)
		}
		if err == nil {
			_ = reply.Body.Close()
			if reply.StatusCode < 300 {
				return nil
			}
			err = fmt.Errorf("status %s", reply.Status)
		}
		time.Sleep(50 * time.Millisecond)
	}
	u, _ := url.Parse(address)
	return fmt.Errorf("%s is not ready: %w", u.Host, err)
}

// cpuTime is what a process has used on all of its threads.
func cpuTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100 // USER_HZ, on every Linux there is
}

func rss(pid int) (kib int) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, _ = strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return kib
}

// figures are what the service's metrics say.
type figures struct {
	freshness        histogram
	increments, rows float64
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
		}
	}
	return f, nil
}
