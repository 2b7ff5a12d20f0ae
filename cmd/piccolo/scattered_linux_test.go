package main

import (
	"context"
	"encoding/json"
	"fmt"
	neturl "net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/piccolo-counter/piccolo/actors/admin"
	"github.com/piccolo-counter/piccolo/bus"
)

// scattered is a deployment of several processes around a NATS server.
type scattered struct {
	t       *testing.T
	dir     string // of the server
	address string
	server  *bus.Server
}

func scatter(t *testing.T, partitions int) *scattered {
	t.Helper()
	s := &scattered{t: t, dir: t.TempDir(), address: "127.0.0.1:0"}
	s.serve()
	t.Cleanup(func() { s.server.Shutdown() })
	if code, _, stderr := piccoloRun(t, "stream", "init", "--nats", s.server.URL(), "--partitions", fmt.Sprint(partitions), "--stream-max-bytes", "64MiB"); code != 0 {
		t.Fatal(stderr)
	}
	return s
}

// serve runs the server, again where it was.
func (s *scattered) serve() {
	s.t.Helper()
	server, err := bus.StartServer(bus.ServerOptions{Dir: s.dir, Listen: s.address, MaxBytes: 64 << 20, Log: discard})
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := neturl.Parse(server.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	s.server, s.address = server, u.Host
}

// member is a process of a deployment.
type member struct {
	*process
	data, admin string
	status      *status // nil where nobody supervises it
}

// join starts a process on a data directory, and returns when it is ready.
func (s *scattered) join(role, data string, args ...string) *member {
	s.t.Helper()
	m := &member{process: prepare(s.t, role, append([]string{"--nats", s.server.URL(), "--data", data}, args...)...), data: data}
	m.status = supervise(m.process)
	m.start()
	ready := m.logs("ready", "", "")
	m.admin = strings.TrimPrefix(ready["admin"].(string), "http://")
	m.api, _ = ready["api"].(string)
	return m
}

// topping is a piccolo top that goes on, and what it has said.
type topping struct {
	written
	separator string // of what it says each second
}

// last is what it said last, all of it.
func (w *topping) last() string {
	parts := strings.Split(w.String(), w.separator)
	return parts[max(len(parts)-2, 0)]
}

// watch runs piccolo top until the test ends.
func (s *scattered) watch(separator string, args ...string) *topping {
	s.t.Helper()
	w := &topping{separator: separator}
	p := prepare(s.t, "top", append([]string{"--nats", s.server.URL()}, args...)...)
	p.cmd.Args = slices.DeleteFunc(p.cmd.Args, func(arg string) bool { return arg == "--admin" || arg == "127.0.0.1:0" })
	p.cmd.Stdout = w
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		if err := p.cmd.Wait(); err != nil {
			s.t.Errorf("top ended with %v: %s", err, w.last())
		}
	})
	return w
}

// Every process of a deployment is on the page and in top, with its version, how
// far it is behind and its last error; and both tell, in the words of its own
// status and of doctor, when one is killed, stops, fails, or comes back, and when
// the NATS server goes and comes.
func TestDeploymentIsWatched(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser and six processes take a while")
	}
	t.Parallel()
	s := scatter(t, 2)
	tokens := filepath.Join(t.TempDir(), "tokens")
	writeFile(t, tokens, "increment,read s3cr3t\n")
	first := s.join("ingress", t.TempDir(), "--listen", "127.0.0.1:0")
	second := s.join("ingress", t.TempDir(), "--listen", "127.0.0.1:0", "--tokens", tokens)
	// What it folds after its database is copied is still in the stream for the copy.
	zero := s.join("writer", t.TempDir(), "--partition", "0", "--retain", "1h")
	one := s.join("writer", t.TempDir(), "--partition", "1")
	members := []*member{first, second, zero, one}

	b := openBrowser(t, "http://"+first.admin)
	b.size(1320, 900, "light")
	b.do(chromedp.Navigate("http://" + first.admin + "/"))
	lines, plain := s.watch("\n", "--json"), s.watch("\npiccolo  ")

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	for range 2 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				increment(ctx, first.api, fmt.Sprintf("fleet/%d", n%40), 3, []string{"stored", "memory"}[n%2])
			}
		})
	}

	// tells waits until page, top --json and top say something of a process.
	tells := func(m *member, class, mark, says string) {
		t.Helper()
		pid := m.cmd.Process.Pid
		row := fmt.Sprintf(`[...document.querySelectorAll("#processes tbody tr")].find((r) => r.cells[1].textContent.includes(":%d"))`, pid)
		quoted, _ := json.Marshal(says)
		b.await(fmt.Sprintf(`%[1]s?.className === %q && (%[1]s.cells[9].textContent + " " + %[1]s.cells[10].textContent).includes(%[3]s)`, row, class, quoted))
		var in admin.Process
		b.until("top --json says "+says, func() bool {
			var snapshot admin.Snapshot
			if json.Unmarshal([]byte(lines.last()), &snapshot) != nil {
				return false
			}
			i := slices.IndexFunc(snapshot.Processes, func(p admin.Process) bool { return p.PID == pid })
			if i < 0 {
				return false
			}
			in = snapshot.Processes[i]
			how := conditionOf(&in)
			return how.mark == mark && strings.Contains(how.says+" "+in.Error, says)
		}, lines.last)
		b.until("top says "+says, func() bool {
			for line := range strings.Lines(plain.last()) {
				if strings.HasPrefix(line, mark+" "+in.Role) && strings.Contains(line, fmt.Sprintf(":%d ", pid)) && strings.Contains(line, says) {
					return true
				}
			}
			return false
		}, plain.last)
	}
	cell := func(m *member, n int) string {
		return eval[string](b, fmt.Sprintf(`[...document.querySelectorAll("#processes tbody tr")].find((r) => r.cells[1].textContent.includes(":%d")).cells[%d].textContent`, m.cmd.Process.Pid, n))
	}

	for _, m := range members {
		tells(m, "", "✓", "ready")
		if v := cell(m, 2); v == "" || !strings.HasPrefix(version(), v) {
			t.Errorf("the page shows version %q of %s", v, version())
		}
		if e := cell(m, 10); e != "none" {
			t.Errorf("the page shows the last error %q", e)
		}
	}
	for _, m := range members[:2] { // what an ingress is behind is in its memory, a writer in its backlog
		if got, none := cell(m, 6), cell(m, 7); got == "" || none != "" {
			t.Errorf("the page shows of an ingress %q in memory and a backlog of %q", got, none)
		}
	}
	for _, m := range members[2:] {
		if got, none := cell(m, 7), cell(m, 6); got == "" || got == "–" || none != "" {
			t.Errorf("the page shows of a writer a backlog of %q and %q in memory", got, none)
		}
	}
	b.await(`document.querySelector("#state").textContent.startsWith("live · 4 processes")`)
	b.await(`document.querySelector("#conservation").textContent.includes("nothing lost")`)
	b.clean("while all are well")

	// An error that kept nobody from work is the last error.
	writeFile(t, tokens, "nothing\n")
	second.signal(syscall.SIGHUP)
	tells(second, "", "✓", "reload failed")

	// One is killed, and started again.
	if err := one.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = one.cmd.Wait()
	tells(one, "silent", "✗", "silent for ")
	b.await(`/^writer is silent; no writer reports on partition 1$/.test(document.querySelector("#state").textContent)`)
	b.until("top says which partition has no writer", func() bool { return strings.Contains(plain.last(), "no writer reports on partition 1") }, plain.last)
	one.diagnosed("was killed or lost power")
	again := s.join("writer", one.data, "--partition", "1", "--admin", one.admin)
	tells(again, "warn", "!", "start: the process before this one was killed")
	b.await(fmt.Sprintf(`![...document.querySelectorAll("#processes tbody tr")].some((r) => r.cells[1].textContent.includes(":%d"))`, one.cmd.Process.Pid))
	b.await(`document.querySelector("#state").textContent.startsWith("live · 4 processes")`)

	// One stops as it is told to, which is no reason to worry.
	second.stop()
	tells(second, "stopped", "-", "stopped, ")
	b.await(`document.querySelector("#state").textContent.startsWith("live · 3 processes")`)

	// One is superseded by another with a copy of its database.
	copied := t.TempDir()
	if code, _, stderr := piccoloRun(t, "db", "backup", "--data", zero.data, filepath.Join(copied, "numbers.db")); code != 0 {
		t.Fatal(stderr)
	}
	later := s.join("writer", copied, "--partition", "0", "--retain", "1h")
	reason := zero.logs("piccolo failed", "", "")["error"].(string)
	if err := zero.cmd.Wait(); err == nil {
		t.Error("the superseded writer ended well")
	}
	if !strings.Contains(reason, "run one writer per database") {
		t.Errorf("it says %s", reason)
	}
	tells(zero, "wrong", "✗", "failed, "+reason)
	b.until("systemctl status says so", func() bool { return zero.status.get() == "failed, "+reason }, zero.status.get)
	zero.diagnosed("failed, " + reason)
	tells(later, "", "✓", "ready")

	// The NATS server goes and comes.
	s.server.Shutdown()
	b.await(fmt.Sprintf(`[...document.querySelectorAll("#processes tbody tr")].find((r) => r.cells[1].textContent.includes(":%d")).cells[9].textContent.includes("no connection to NATS")`, first.cmd.Process.Pid))
	b.until("top says that the server is away", func() bool { return strings.Contains(plain.last(), "no connection to NATS") }, plain.last)
	s.serve()
	for _, m := range []*member{first, later} {
		tells(m, "", "✓", "ready")
	}
	b.clean("when all is over")
	stop()
	clients.Wait()
	for _, m := range []*member{first, later, again} {
		m.stop()
	}
}

// diagnosed has doctor say what became of a process that ended, with what to do.
func (m *member) diagnosed(says string) {
	m.t.Helper()
	code, out, _ := piccoloRun(m.t, "doctor", "--json", "--admin", m.admin, "--listen", "127.0.0.1:0", "--nats", away, "--data", m.data)
	var d diagnosis
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	if code != exitBroken || !slices.ContainsFunc(d.Checks, func(c diagnose) bool {
		return c.Name == "service" && c.State == admin.Wrong && strings.Contains(c.Says, says) && c.Fix != ""
	}) {
		m.t.Errorf("doctor exits %d, and does not say %q: %s", code, says, out)
	}
}
