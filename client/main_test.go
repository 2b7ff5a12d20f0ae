package client_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/client"
	"github.com/piccolo-counter/piccolo/internal/leak"
	"github.com/piccolo-counter/piccolo/internal/port"
)

var dir string // of this run of the tests

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if dir, err = os.MkdirTemp("", "piccolo-client-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return leak.Main(m)
}

// binary is the real service, built when the first test asks for it.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(dir, "piccolo")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/piccolo").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build the service: %w: %s", err, out)
	}
	return path, err
})

// service is the real one, on a data directory of its own.
type service struct {
	t    *testing.T
	data string
	addr string
	args []string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

func start(t *testing.T, args ...string) *service {
	t.Helper()
	s := &service{t: t, data: filepath.Join(t.TempDir(), "data"), addr: port.Free(t), args: args}
	s.launch()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	return s
}

func (s *service) launch() {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	args := []string{"all-in-one", "--data", s.data, "--listen", s.addr, "--admin", "127.0.0.1:0", "--nats-listen", "off"}
	s.cmd = exec.Command(path, append(args, s.args...)...)
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get(s.url() + "/readyz"); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the service is not ready after 2 min")
		}
	}
}

// kill ends the process as kill -9 does.
func (s *service) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *service) url() string { return "http://" + s.addr }

func (s *service) client(options ...client.Option) *client.Client {
	s.t.Helper()
	c, err := client.New(s.url(), options...)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}
