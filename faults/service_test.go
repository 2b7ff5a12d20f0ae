package faults_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo/internal/port"
)

// patience bounds every wait for the service. It says nothing of how fast the
// service is; on a busy machine everything takes longer.
const patience = 2 * time.Minute

// timeout is how long a client waits for a reply, which is far beyond what a
// reply may wait for: whoever gets none until then was forgotten.
const timeout = time.Minute

// service is one data directory with the processes that serve it, one at a
// time.
type service struct {
	t        testing.TB
	role     role
	binary   string // that it runs
	data     string
	database string
	args     []string

	api, admin, nats string // addresses, the same for every process

	server string // of an ingress or a writer alone: the address of its NATS server

	wrap []string // a program and its arguments to run the service under
	now  *process // the last one started
	runs []*process
}

// newService makes a service that has not been started.
func newService(t testing.TB, args ...string) *service {
	t.Helper()
	s := &service{
		t: t, role: allInOne, binary: binary, data: filepath.Join(t.TempDir(), "data"), args: args,
		api: port.Free(t), admin: port.Free(t), nats: port.Free(t),
	}
	s.database = filepath.Join(s.data, "numbers.db")
	t.Cleanup(func() {
		s.kill()
		if s.logged("WARNING: DATA RACE") {
			t.Error("the race detector found something")
		}
		if t.Failed() {
			s.showLogs()
		}
	})
	return s
}

func (s *service) jetstream() string { return filepath.Join(s.data, "jetstream") }
func (s *service) spool() string     { return filepath.Join(s.data, "spool") }

// launch starts a process and returns at once.
func (s *service) launch(env ...string) *process {
	s.t.Helper()
	s.kill()
	args := append(slices.Clone(s.wrap), s.command()...)
	p := &process{cmd: exec.Command(args[0], args[1:]...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = ownGroup()
	if err := p.cmd.Start(); err != nil {
		s.t.Fatalf("start the service: %v", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	s.now = p
	s.runs = append(s.runs, p)
	return p
}

// start starts a process and returns when it is ready.
func (s *service) start(env ...string) *process {
	s.t.Helper()
	p := s.launch(env...)
	s.until("the service is ready", func() bool {
		if p.gone() {
			s.t.Fatalf("the service exited before it was ready: %v", p.err)
		}
		return s.ready()
	})
	return p
}

func (s *service) ready() bool {
	path := "/readyz"
	if s.role == natsServer {
		path = "/healthz"
	}
	reply, err := http.Get("http://" + s.admin + path)
	if err != nil {
		return false
	}
	defer reply.Body.Close()
	return reply.StatusCode == http.StatusOK
}

// kill ends the running process, if there is one, as kill -9 does.
func (s *service) kill() {
	if s.now == nil {
		return
	}
	_ = syscall.Kill(-s.now.cmd.Process.Pid, syscall.SIGKILL)
	<-s.now.exited
}

// signal sends a signal to the running process.
func (s *service) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.now.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal %v: %v", sig, err)
	}
}

// freeze stops the running process where it stands, until SIGCONT.
func (s *service) freeze() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	// It stands still once every thread does.
	s.until("the process stands still", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.now.cmd.Process.Pid))
		if errors.Is(err, fs.ErrNotExist) {
			return true // no such file system: the signal has to do
		}
		return strings.Contains(string(status), ") T ")
	})
}

// wait returns the exit code of the running process once it has ended, -1
// where a signal ended it.
func (s *service) wait() int {
	s.t.Helper()
	select {
	case <-s.now.exited:
		return s.now.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		s.t.Fatalf("the service still runs after %s", patience)
		return 0
	}
}

// stop has the service stop by itself, which must succeed.
func (s *service) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		s.t.Errorf("after SIGTERM the service exited with %d (%v), want 0", code, s.now.err)
	}
}

// until polls until something outside this process has come about.
func (s *service) until(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited for %s in vain, for %s", what, patience)
		}
	}
}

// metric reads one unlabelled metric.
func (s *service) metric(name string) float64 {
	s.t.Helper()
	v, err := s.scrape(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *service) scrape(name string) (float64, error) {
	reply, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// quiet waits until everything that was counted, in memory, in the stream or in
// the spool, is in the database. Nothing may be sent meanwhile.
func (s *service) quiet() {
	s.t.Helper()
	_, js := s.connect()
	s.until("the backlog is 0", func() bool {
		if s.now.gone() {
			s.t.Fatalf("the service exited: %v", s.now.err)
		}
		accepted, err1 := s.scrape("piccolo_accepted_increments_total")
		published, err2 := s.scrape("piccolo_published_increments_total")
		return errors.Join(err1, err2) == nil && published >= accepted && len(s.spooled()) == 0 && s.holds(js) == 0
	})
}

// holds counts the messages in the stream, -1 where nobody says.
func (s *service) holds(js jetstream.JetStream) int {
	stream, err := js.Stream(s.t.Context(), "PICCOLO")
	if err != nil {
		return -1
	}
	return int(stream.CachedInfo().State.Msgs)
}

// spooled lists the batches in the spool.
func (s *service) spooled() []string {
	files, err := filepath.Glob(filepath.Join(s.spool(), "*.batch"))
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

// logged says whether any process logged a line with text in it.
func (s *service) logged(text string) bool {
	return slices.ContainsFunc(s.runs, func(p *process) bool { return strings.Contains(p.log.String(), text) })
}

func (s *service) showLogs() {
	const most = 8 << 10
	for i, p := range s.runs {
		text := p.log.String()
		if len(text) > most {
			text = "…" + text[len(text)-most:]
		}
		s.t.Logf("process %d of %d (%v) logged:\n%s", i+1, len(s.runs), p.cmd.ProcessState, text)
	}
}

// process is one run of the service.
type process struct {
	cmd    *exec.Cmd
	log    buffer
	exited chan struct{} // closed when it has been reaped
	err    error         // of the exit
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// killed says whether the process, which must be gone, died by SIGKILL.
func (p *process) killed() bool {
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		return false
	}
	status := exit.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == syscall.SIGKILL
}

// buffer is what a process wrote so far.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// undisturbed checks that the service found nothing wrong with the stream.
func (s *service) undisturbed() {
	s.t.Helper()
	s.zero("piccolo_stream_rewinds_total", "piccolo_lost_batches_total", "piccolo_rejected_messages_total")
}

func (s *service) zero(metrics ...string) {
	s.t.Helper()
	for _, name := range metrics {
		if n := s.metric(name); n != 0 {
			s.t.Errorf("%s is %v, want 0", name, n)
		}
	}
}
