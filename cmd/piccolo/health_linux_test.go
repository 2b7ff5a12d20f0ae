package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo/actors/admin"
	"github.com/piccolo-counter/piccolo/bus"
)

// status follows what systemctl status would show of a service.
type status struct {
	mu   sync.Mutex
	text string
}

func (s *status) get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text
}

// supervise has a process that is not started yet tell its status.
func supervise(p *process) *status {
	p.t.Helper()
	n, path := listenNotices(p.t)
	p.cmd.Env = append(p.cmd.Env, "NOTIFY_SOCKET="+path)
	s := new(status)
	go func() {
		for {
			select {
			case state := <-n.heard:
				for line := range strings.SplitSeq(state, "\n") {
					if text, ok := strings.CutPrefix(line, "STATUS="); ok {
						s.mu.Lock()
						s.text = text
						s.mu.Unlock()
					}
				}
			case <-p.t.Context().Done():
				return
			}
		}
	}()
	return s
}

// faulty is a service with faults, and all the places that tell of them.
type faulty struct {
	*process
	status *status
	admin  string
	nats   string // empty where it is away
	data   string
}

// findings are what is not ok, in the words of /readyz.
func (f *faulty) findings(ctx context.Context) admin.Health {
	f.t.Helper()
	health, err := askHealth(ctx, f.admin)
	if err != nil {
		f.t.Fatal(err)
	}
	return slices.DeleteFunc(health, func(f admin.Finding) bool { return f.State == admin.OK })
}

// story returns the findings, and which of the other places do not say the same.
func (f *faulty) story(ctx context.Context) (health admin.Health, differ []string) {
	f.t.Helper()
	health = f.findings(ctx)
	missing := func(place, said string, want ...string) {
		for _, w := range want {
			if w != "" && !strings.Contains(said, w) {
				differ = append(differ, place+" does not say "+w+" but "+said)
			}
		}
	}
	missing("systemctl status", f.status.get(), health.In(admin.Wrong), health.In(admin.Warning))

	_, out, _ := piccoloRun(f.t, "ready", "--json", "--admin", f.admin)
	var told readiness
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
	for _, h := range health {
		if !slices.Contains(told.Checks, h) {
			differ = append(differ, "piccolo ready does not say "+h.Says+" but "+out)
		}
	}

	_, out, _ = piccoloRun(f.t, "doctor", "--json", "--admin", f.admin, "--nats", f.nats, "--data", f.data)
	var d diagnosis
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
	for _, h := range health {
		if i := slices.IndexFunc(d.Checks, func(c diagnose) bool { return c.Finding == h }); i < 0 || d.Checks[i].Fix == "" {
			differ = append(differ, "piccolo doctor does not say "+h.Says+" with a fix, but "+out)
		}
	}
	for _, c := range d.Checks { // nor does it say one thing in two ways
		if slices.ContainsFunc(health, func(h admin.Finding) bool { return h.Name == c.Name && h.Says != c.Says && c.State != admin.OK }) && f.nats != away {
			differ = append(differ, "piccolo doctor says of "+c.Name+": "+c.Says)
		}
	}
	if f.nats != away {
		_, out, _ = piccoloRun(f.t, "top", "--json", "--count", "1", "--nats", f.nats)
		var s admin.Snapshot
		if err := json.Unmarshal([]byte(out), &s); err != nil || len(s.Processes) != 1 {
			f.t.Fatalf("%v: %s", err, out)
		}
		missing("the page", s.Processes[0].Unready, health.In(admin.Wrong))
		missing("the page", s.Processes[0].Warning, health.In(admin.Warning))
	}
	return health, differ
}

// away is where no NATS server is.
const away = "nats://127.0.0.1:1"

// alike waits until every place tells of these findings, and in the same words.
func (f *faulty) alike(want ...string) admin.Health {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 4*time.Minute)
	defer cancel()
	for {
		health, differ := f.findings(ctx), []string(nil)
		var names []string
		for _, h := range health {
			names = append(names, h.Name+" "+string(h.State))
		}
		status := f.status.get() // once a second, as reports are
		if slices.Equal(names, want) && strings.Contains(status, health.In(admin.Wrong)) && strings.Contains(status, health.In(admin.Warning)) {
			if health, differ = f.story(ctx); len(differ) == 0 {
				return health
			}
		}
		if ctx.Err() != nil {
			f.t.Fatalf("there is %q, want %q, and they differ: %s", names, want, strings.Join(differ, "\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Whatever is wrong with a service, or worth knowing, is said in the same words
// wherever somebody looks: /readyz, piccolo ready, systemctl status, doctor, the
// page and top.
func TestEveryPlaceTellsTheSame(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	want := []string{"ingress wrong", "writer wrong", "backlog warning", "stream warning", "sync warning", "start warning"}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=64m"); err == nil { // only root may
		defer func() { _ = syscall.Unmount(data, syscall.MNT_DETACH) }()
		want = slices.Insert(want, 4, "disk warning")
	}
	writeFile(t, filepath.Join(data, "running"), "") // as one that was killed leaves it
	p := prepare(t, "all-in-one", "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0",
		"--sync", "interval", "--stream-max-bytes", "40KiB", "--ack-timeout", "50ms", "--stop-timeout", "60s")
	f := &faulty{process: p, status: supervise(p), data: data}
	p.run()
	f.admin = strings.TrimPrefix(adminOf(p), "http://")
	f.nats = regexp.MustCompile(`nats://\S+`).FindString(p.greeting)
	f.alike(want[4:]...)

	// Somebody holds the database, and the stream fills.
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "numbers.db")+"?_txlock=immediate&_pragma=busy_timeout(60000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for range 250 { // the last of them are refused
		increment(t.Context(), p.api, strings.Repeat("k", 90), 1, "stored")
	}
	if h := f.alike(want...); h[0].Says != "the stream is full" || !strings.Contains(h[1].Says, "the database is locked by another process") {
		t.Errorf("%s: %s", h, f.status.get())
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	f.alike(want[4:]...)
	p.stop()
}

// A message that is deleted before the writer had it is lost, and every place says
// so: health, page and top, where what it carried is in no backlog.
func TestALostBatchIsToldEverywhere(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := prepare(t, "all-in-one", "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	f := &faulty{process: p, status: supervise(p), data: data}
	p.run()
	f.admin = strings.TrimPrefix(adminOf(p), "http://")
	f.nats = regexp.MustCompile(`nats://\S+`).FindString(p.greeting)
	nc, err := nats.Connect(f.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	increment(t.Context(), p.api, "foo", 1, "applied")
	if _, err := stream.PauseConsumer(t.Context(), "writer-0", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		increment(t.Context(), p.api, "foo", 1, "stored")
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), info.State.LastSeq-1); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.ResumeConsumer(t.Context(), "writer-0"); err != nil {
		t.Fatal(err)
	}
	if h := f.alike("lost warning"); h[0].Says != "1 batch is neither in the ledger nor in the stream" {
		t.Errorf("%s", h)
	}
	if _, text, _ := piccoloRun(t, "top", "--count", "1", "--nats", f.nats); !strings.Contains(text, "✗ accepted 4 = in memory 0 + published 4\n") {
		t.Error(text)
	}
	// What it carried is told from a backlog once all has been quiet for a while.
	want := admin.Conservation{Accepted: 4, Published: 4, Folded: 3, Lost: 1, LostBatches: 1, Followed: true}
	for deadline := time.Now().Add(2 * time.Minute); conservationOf(t, f.admin) != want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", conservationOf(t, f.admin))
		}
	}
	p.stop()
}

// conservationOf is what the page shows of it now.
func conservationOf(t *testing.T, addr string) admin.Conservation {
	t.Helper()
	res, err := http.Get("http://" + addr + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<24)
	for event := ""; lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && event == "snapshot" {
			var shown struct {
				Conservation admin.Conservation `json:"conservation"`
			}
			if err := json.Unmarshal([]byte(data), &shown); err != nil {
				t.Fatal(err)
			}
			return shown.Conservation
		}
	}
	t.Fatalf("no snapshot: %v", lines.Err())
	return admin.Conservation{}
}

// An ingress says so where NATS is away, and waits.
func TestNATSAwayIsToldEverywhere(t *testing.T) {
	t.Parallel()
	server, err := bus.StartServer(bus.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(server.Shutdown)
	defer stop()
	if code, _, stderr := piccoloRun(t, "stream", "init", "--nats", server.URL(), "--stream-max-bytes", "512KiB"); code != 0 {
		t.Fatal(stderr)
	}
	data := t.TempDir()
	p := prepare(t, "ingress", "--data", data, "--listen", "127.0.0.1:0", "--nats", server.URL(), "--stop-timeout", "1s")
	f := &faulty{process: p, status: supervise(p), data: data, nats: away}
	p.start()
	f.admin = strings.TrimPrefix(p.logs("ready", "", "")["admin"].(string), "http://")
	stop()
	if h := f.alike("nats wrong"); !strings.Contains(h[0].Says, "no connection to NATS") {
		t.Errorf("%s", h)
	}
}

// Of a writer that is refused the last words stay, and doctor says why.
func TestRefusedWriterLeavesItsReason(t *testing.T) {
	t.Parallel()
	server, err := bus.StartServer(bus.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	if code, _, stderr := piccoloRun(t, "stream", "init", "--nats", server.URL(), "--stream-max-bytes", "512KiB"); code != 0 {
		t.Fatal(stderr)
	}
	first := prepare(t, "writer", "--data", t.TempDir(), "--nats", server.URL())
	first.start()
	first.logs("ready", "", "")
	data := t.TempDir()
	second := prepare(t, "writer", "--data", data, "--nats", server.URL())
	s := supervise(second)
	second.start()
	reason := second.logs("piccolo failed", "", "")["error"].(string)
	if err := second.cmd.Wait(); err == nil {
		t.Error("a writer with another database runs")
	}
	for deadline := time.Now().Add(2 * time.Minute); s.get() != "failed, "+reason; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("systemctl status shows %q, want that it failed: %s", s.get(), reason)
		}
	}
	code, out, _ := piccoloRun(t, "doctor", "--json", "--admin", "127.0.0.1:1", "--listen", "127.0.0.1:0", "--nats", server.URL(), "--data", data)
	var d diagnosis
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	if code != exitBroken || !slices.ContainsFunc(d.Checks, func(c diagnose) bool {
		return c.Name == "writer" && strings.Contains(reason, c.Says) && strings.Contains(reason, c.Fix) && c.Fix != ""
	}) {
		t.Errorf("exit %d, and not %q: %s", code, reason, out)
	}
}
