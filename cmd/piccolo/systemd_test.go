package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/bus"
)

// notices is what systemd hears from a service.
type notices struct {
	t     *testing.T
	heard chan string
	told  strings.Builder
}

// listenNotices makes the socket that systemd would hear it on, and reads it:
// who tells must not wait for the test to ask.
func listenNotices(t *testing.T) (n *notices, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "notify") // any other may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	n = &notices{t: t, heard: make(chan string, 10_000)}
	var reader sync.WaitGroup
	reader.Go(func() {
		buf := make([]byte, 16<<10)
		for {
			size, err := conn.Read(buf)
			if err != nil {
				return // the test is over
			}
			n.heard <- string(buf[:size])
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		reader.Wait()
	})
	return n, path
}

// expect reads up to a notice that contains words, and returns it.
func (n *notices) expect(words string) string {
	n.t.Helper()
	return n.match(regexp.QuoteMeta(words))[0]
}

// match reads up to a notice that a pattern matches, and returns the notice and
// the pattern's groups.
func (n *notices) match(pattern string) []string {
	n.t.Helper()
	want := regexp.MustCompile(pattern)
	late := time.After(2 * time.Minute)
	for {
		select {
		case state := <-n.heard:
			n.told.WriteString(state + "\n")
			if groups := want.FindStringSubmatch(state); groups != nil {
				groups[0] = state
				return groups
			}
		case <-late:
			n.t.Fatalf("two minutes without %q: %s", pattern, n.told.String())
		}
	}
}

// A service tells systemd when it is ready, how it is, that it lives, that it
// reloads and that it stops.
func TestNotifiesSystemd(t *testing.T) {
	n, path := listenNotices(t)
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "60000000")
	p := startAllInOne(t, "--listen", "127.0.0.1:0")
	n.expect("READY=1")
	n.expect("WATCHDOG=1")
	p.expect(0, "", 200)
	if status := n.expect("STATUS="); !strings.Contains(status, " increments/s committed, backlog ") {
		t.Errorf("told %q", status)
	}
	n.expect("WATCHDOG=1")
	p.signal(syscall.SIGHUP)
	if state := n.expect("RELOADING=1"); !strings.Contains(state, "MONOTONIC_USEC=") {
		t.Errorf("told %q", state)
	}
	n.expect("READY=1")
	p.stop()
	n.expect("STOPPING=1")
}

// The line of systemctl status has the rate of an ingress and what waits for the
// stream, and the rate, the backlog and the lag of a writer, above all while it
// commits nothing.
func TestStatusOfIngressAndWriter(t *testing.T) {
	t.Parallel()
	server, err := bus.StartServer(bus.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", MaxBytes: 1 << 24, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	if code, _, stderr := piccoloRun(t, "stream", "init", "--nats", server.URL(), "--stream-max-bytes", "8MiB"); code != 0 {
		t.Fatal(stderr)
	}
	data := t.TempDir()
	started := func(role string, args ...string) (*process, *notices) {
		n, path := listenNotices(t)
		p := prepare(t, role, append(args, "--nats", server.URL())...)
		p.cmd.Env = append(p.cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=60000000")
		p.start()
		ready := p.logs("ready", "", "")
		p.api, _ = ready["api"].(string)
		n.expect("READY=1")
		n.expect("WATCHDOG=1")
		return p, n
	}
	w, writer := started("writer", "--data", data)
	in, ingress := started("ingress", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--stop-timeout", "5s")

	// As long as somebody holds the database, batches wait.
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "numbers.db")+"?_txlock=immediate&_pragma=busy_timeout(60000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	sent := time.Now()
	res, err := http.Post(in.api+"/v1/increments", "application/x-ndjson", strings.NewReader(strings.Repeat(`{"key":"foo","value":1}`+"\n", 10_000)))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	ingress.match(`STATUS=[1-9]\d* increments/s stored, \d+ batch(?:es)? waiting`)
	blocked := writer.match(`STATUS=.*\b0 increments/s committed, backlog [1-9]\d* batch(?:es)?, at most (\d\S*s) behind`)
	waited, err := time.ParseDuration(blocked[1])
	if err != nil || waited > time.Since(sent) {
		t.Errorf("at most %s behind, and they were sent %s ago", blocked[1], time.Since(sent))
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	// What is committed while a line is made has its lag there and its rate in the
	// next, which then has no lag.
	var rate, lag string
	for rate == "" || rate == "0" {
		line := writer.match(`STATUS=.*\b(\d+) increments/s committed(?:.*, at most (\S+) behind)?`)
		if rate = line[1]; rate == "0" || line[2] != "" {
			lag = line[2]
		}
	}
	if rate, err := strconv.Atoi(rate); err != nil || rate > 10_000 {
		t.Errorf("%d of 10000 increments are committed each second", rate)
	}
	// They went on waiting after that line was made, which may be long before it is
	// read.
	if lag, err := time.ParseDuration(lag); err != nil || lag < waited {
		t.Errorf("at most %s behind, and before they were %s", lag, waited)
	}
	writer.match(`STATUS=.*\b0 increments/s committed, backlog 0 batches`)
	stopped := func(p *process, n *notices) {
		p.signal(syscall.SIGTERM)
		n.expect("STOPPING=1")
		if err := p.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	stopped(w, writer)

	// As long as there is no stream, they wait in the ingress.
	server.Shutdown()
	res, err = http.Post(in.api+"/increment?key=foo&value=1&ack=memory", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatal(res.Status)
	}
	ingress.match(`STATUS=.*\b0 increments/s stored, 1 batch waiting, the oldest for \d\S*s`)
	stopped(in, ingress) // into the spool
}

// A service that cannot start says why to systemd, and does not end at once: as
// long as a client waits at its socket, systemd would start it again without a
// pause.
func TestFailsNoSoonerThanInASecond(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		why  string
	}{
		"mistake": {[]string{"--flush-intervall", "5ms"}, `unknown flag --flush-intervall`},
		"failure": {[]string{"--db", "/dev/null/numbers.db"}, `/dev/null`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, path := listenNotices(t)
			p := prepare(t, "all-in-one", append([]string{"--data", t.TempDir()}, test.args...)...)
			p.cmd.Env = append(p.cmd.Env, "NOTIFY_SOCKET="+path)
			start := time.Now()
			if err := p.cmd.Run(); err == nil {
				t.Error("it runs")
			}
			if took := time.Since(start); took < leastLife {
				t.Errorf("it ended after %s", took)
			}
			n.match("STATUS=failed, .*" + test.why)
		})
	}
}

// startWithSocket starts a service as systemd does, with a socket that it holds.
func startWithSocket(t *testing.T, socket *os.File, data string) *process {
	t.Helper()
	// What LISTEN_PID must be is known to the new process alone.
	p := prepare(t, "all-in-one", "--nats-listen", "off", "--data", data)
	p.cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`}, p.cmd.Args...)
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	p.cmd.Path = sh
	p.cmd.Env = append(p.cmd.Env, "LISTEN_FDS=1")
	p.cmd.ExtraFiles = []*os.File{socket}
	p.run()
	return p
}

// A restart refuses no connection where systemd holds the socket, and loses
// nothing.
func TestRestartRefusesNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	data := t.TempDir()
	p := startWithSocket(t, socket, data)
	if want := url("http", l.Addr()); p.api != want {
		t.Errorf("serves %s, want %s", p.api, want)
	}

	api := p.api // of all processes
	stop := make(chan struct{})
	var clients sync.WaitGroup
	counted := make([]int, 4)
	for i := range counted {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := countOver(api, i%2 == 0); errors.Is(err, errLater) {
					continue
				} else if err != nil {
					t.Error(err)
					return
				}
				counted[i]++
			}
		})
	}
	for range 2 {
		p.stop()
		p = startWithSocket(t, socket, data)
		p.expect(0, "", 200)
	}
	close(stop)
	clients.Wait()
	want := 2 * 10 // of expect
	for _, n := range counted {
		want += n
	}
	res, err := http.Post(p.api+"/increment?key=foo&value=0&ack=applied", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), fmt.Sprintf(`"value":%d`, want)) {
		t.Errorf("%s, want %d", body, want)
	}
	p.stop()
}

var errLater = errors.New("a clear no")

// countOver adds 1, over a connection of its own or one that is kept. A clear no
// counted nothing; anything else must be a yes.
func countOver(api string, keep bool) error {
	client := http.DefaultClient
	if !keep {
		client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	res, err := client.Post(api+"/increment?key=foo&value=1", "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return nil
	case http.StatusServiceUnavailable:
		return errLater
	}
	return errors.New(res.Status)
}

// Who stands by has started and lives, for whoever started it.
func TestStandingByNotifiesSystemd(t *testing.T) {
	data := t.TempDir()
	unlock, err := lockDir(data)
	if err != nil {
		t.Fatal(err)
	}
	n, path := listenNotices(t)
	t.Setenv("NOTIFY_SOCKET", path)
	p := prepare(t, "writer", "--standby", "--data", data, "--nats", "nats://127.0.0.1:1")
	p.start()
	if state := n.expect("READY=1"); !strings.Contains(state, "STATUS=standing by") {
		t.Errorf("told %q", state)
	}
	n.expect("WATCHDOG=1")
	n.expect("WATCHDOG=1")
	unlock()
	p.logs("taking over", "", "")
}
