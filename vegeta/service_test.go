package main

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/internal/leak"
	"github.com/piccolo-counter/piccolo/internal/port"
	"github.com/piccolo-counter/piccolo/sqlite"
)

var buildDir string // for as long as the tests run

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "vegeta"); err != nil {
		panic(err)
	}
	code := leak.Main(m)
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// build builds piccolo, once for all tests.
var build = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(buildDir, "piccolo")
	cmd := exec.Command("go", "build", "-o", path, "github.com/piccolo-counter/piccolo/cmd/piccolo")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return path, cmd.Run()
})

// start runs a piccolo until the test ends, and returns the flags with which
// vegeta finds it.
func start(t *testing.T, data string) []string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatalf("build piccolo: %v", err)
	}
	addr := port.Free(t)
	var log bytes.Buffer
	service := exec.Command(path, "all-in-one", "--data", data, "--listen", addr, "--admin", "127.0.0.1:0", "--nats-listen", "off")
	service.Stdout, service.Stderr = &log, &log
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = service.Process.Signal(syscall.SIGTERM)
		if err := service.Wait(); err != nil || t.Failed() {
			t.Errorf("piccolo ended with %v and said:\n%s", err, &log)
		}
	})
	url := "http://" + addr
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := probe(t.Context(), url)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("piccolo did not start: %v", err)
		}
	}
	return []string{
		"--url", url, "--db", filepath.Join(data, "numbers.db"),
		"--plot", filepath.Join(t.TempDir(), "plot.html"), "--connections", "16",
	}
}

// ran is what a run of the command left.
type ran struct {
	code           int
	stdout, stderr string
}

func run(ctx context.Context, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := command(ctx, args, &stdout, &stderr)
	return ran{code, stdout.String(), stderr.String()}
}

func (r ran) check(t *testing.T, code int, want ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d", r.code, code)
	}
	for _, want := range want {
		if !strings.Contains(r.stdout+r.stderr, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", r.stdout, r.stderr)
	}
}

// The math of a real service is right, whatever its replies wait for and
// however the attack ends.
func TestRightMath(t *testing.T) {
	data := t.TempDir()
	flags := start(t, data)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--profile=one"}, "1 checked, 0 differ"},
		{[]string{"--profile=one", "--ack=memory"}, "1 checked, 0 differ"},
		{[]string{"--profile=insane", "--rate=2000"}, "9,000 checked, 0 differ"},
		{[]string{"--profile=insane", "--rate=500", "--ack=applied", "--seed=2"}, "9,000 checked, 0 differ"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			args := append(append(c.args, "--duration=300ms", "--wait=2m"), flags...)
			run(t.Context(), args...).check(t, 0,
				"Attacking http://127.0.0.1:", "| vegeta attack -", // stderr
				"Status Codes", "The math is right.", "0 refused, 0 unknown", c.want) // stdout
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		before := value(t, data)
		watching.Go(func() {
			defer cancel()
			for value(t, data) == before && t.Context().Err() == nil {
				time.Sleep(20 * time.Millisecond)
			}
		})
		defer watching.Wait()
		run(ctx, append(flags, "--duration=0", "--wait=2m")...).check(t, 0, "for ever, until it is interrupted", "The math is right.")
	})
	t.Run("no database", func(t *testing.T) {
		run(t.Context(), append(flags, "--db", "no/such.db")...).check(t, exitFailed, "no/such.db: file does not exist: run this where")
	})
	t.Run("another database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "another.db")
		another, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer another.Close()
		run(t.Context(), append(flags, "--db", path, "--duration=100ms", "--wait=0s")...).check(t, exitFailed, "nothing changed in "+path)
	})
}

// value is what has been counted of the one key.
func value(t *testing.T, data string) int64 {
	db, err := sqlite.OpenReader(context.Background(), filepath.Join(data, "numbers.db"))
	if err != nil {
		t.Error(err)
		return -1
	}
	defer db.Close()
	value, _, err := db.Value(context.Background(), "test1")
	if err != nil {
		t.Error(err)
	}
	return value
}

// A database that counts wrong is found out.
func TestWrongMath(t *testing.T) {
	data := t.TempDir()
	path := filepath.Join(data, "numbers.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `CREATE TRIGGER one_too_many AFTER INSERT ON numbers
		BEGIN UPDATE numbers SET value = value + 1 WHERE key = new.key; END`)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	flags := start(t, data)
	// What is committed later than it is checked would be the next run's.
	args := append(flags, "--profile=one", "--duration=100ms", "--ack=applied", "--wait=1s")
	run(t.Context(), args...).check(t, exitFailed, "The math is wrong: 1 of 1 keys differ.", "test1")
	// The row is there now, and is counted right from here on.
	run(t.Context(), args...).check(t, 0, "The math is right.")
}

// What is missing is said before anything is attacked.
func TestNothingToAttack(t *testing.T) {
	for _, c := range []struct {
		name string
		code int
		body string
		want string
	}{
		{"not ready", 503, `{"detail":"nothing was counted: stopping"}`, "takes no increments now: nothing was counted: stopping"},
		{"not ready, of few words", 503, "", "takes no increments now: 503 Service Unavailable"},
		{"not piccolo", 404, "", "says 404 Not Found to GET /readyz: if it is not piccolo"},
		{"no database", 200, "ready", "no/such.db: file does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/readyz" {
					t.Errorf("got %s %s", r.Method, r.URL)
				}
				w.WriteHeader(c.code)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			run(t.Context(), "--url", server.URL, "--db", "no/such.db").check(t, exitFailed, c.want)
		})
	}
	t.Run("nobody", func(t *testing.T) {
		url := "http://" + port.Free(t)
		run(t.Context(), "--url", url).check(t, exitFailed, "no service can be reached at "+url, "start it with piccolo all-in-one")
	})
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--url=localhost:3333":  "must look like http://localhost:3333",
		"--url=http://h/?a":     "must look like http://localhost:3333",
		"--profile=two":         "--profile must be one of",
		"--ack=never":           "none of memory, stored, applied",
		"--rate=-1":             "--rate must be 0 or more",
		"--connections=0":       "--connections must be at least 1",
		"--workers=0 --rate=10": "--workers must be at least 1",
		"--duration=-1s":        "--duration must be 0 or more",
	} {
		t.Run(args, func(t *testing.T) {
			run(t.Context(), strings.Fields(args)...).check(t, exitUsage, want)
		})
	}
	run(t.Context(), "--help").check(t, 0, "--profile")
}
