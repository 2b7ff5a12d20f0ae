package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// notices is the socket that systemd reads what its services tell it from.
type notices struct {
	t    *testing.T
	conn *net.UnixConn
	told strings.Builder
}

func listenNotices(t *testing.T) (n *notices, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &notices{t: t, conn: conn}, path
}

// expect reads up to a notice that contains words, and returns it.
func (n *notices) expect(words string) string {
	n.t.Helper()
	if err := n.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		n.t.Fatal(err)
	}
	buf := make([]byte, 4<<10)
	for {
		size, err := n.conn.Read(buf)
		if err != nil {
			n.t.Fatalf("%v before %q: %s", err, words, n.told.String())
		}
		state := string(buf[:size])
		n.told.WriteString(state + "\n")
		if strings.Contains(state, words) {
			return state
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
				if err := countOver(p.api, i%2 == 0); errors.Is(err, errLater) {
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
