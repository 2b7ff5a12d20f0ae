package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// counting is piccolo incr --stdin in a process of its own.
func counting(t *testing.T, input string, args ...string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	in, err := os.Open(input)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	stderr = new(bytes.Buffer)
	cmd = asPiccolo(t, append([]string{"incr", "--stdin"}, args...)...)
	cmd.Stdin, cmd.Stderr = in, stderr
	return cmd, stderr
}

// asPiccolo is a command in a process of its own, which is not started yet.
func asPiccolo(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"-test.run=^TestAsPiccolo$", "--"}, args...)...)
	cmd.Env = append(os.Environ(), "TEST_AS_PICCOLO=1")
	return cmd
}

// outcome is the exit code of a command.
func outcome(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}

var resumeID = regexp.MustCompile(`--resume-id (\w+)`)

// An input that is interrupted when a chunk has been counted and its reply is on
// the way goes on under its name, which was there from the beginning, and every
// line of it counts once.
func TestInputIsInterruptedAndResumed(t *testing.T) {
	const lines = 3*chunkLines + 500
	input := filepath.Join(t.TempDir(), "input")
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "k%d %d\n", i%7, i)
	}
	if err := os.WriteFile(input, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startAllInOne(t, "--listen", "127.0.0.1:0")
	api, err := neturl.Parse(p.api)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	started := make(chan *os.Process, 1)
	forward := httputil.NewSingleHostReverseProxy(api)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 2 {
			forward.ServeHTTP(httptest.NewRecorder(), r)
			_ = (<-started).Signal(syscall.SIGINT)
			<-r.Context().Done()
			return
		}
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	cmd, stderr := counting(t, input, "--server", proxy.URL)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started <- cmd.Process
	code := outcome(t, cmd.Wait())
	said := stderr.String()
	ids := resumeID.FindAllStringSubmatch(said, -1)
	if code != 1 || !strings.Contains(said, "stopped after 10,000 lines were counted: interrupted: to go on,") || len(ids) != 2 || ids[0][1] != ids[1][1] {
		t.Fatalf("exit %d: %s", code, said)
	}
	for range 2 { // and what is counted to its end may be given again
		cmd, stderr = counting(t, input, "--server", p.api, "--resume-id", ids[0][1])
		if err := cmd.Run(); err != nil || !strings.Contains(stderr.String(), "30,500 increments counted") {
			t.Fatalf("%v: %s", err, stderr)
		}
		want := make(map[string]int64)
		for i := range lines {
			want[fmt.Sprintf("k%d", i%7)] += int64(i)
		}
		for key, sum := range want {
			if code, stdout, stderr := piccoloRun(t, "get", "--server", p.api, key); code != 0 || strings.TrimSpace(stdout) != fmt.Sprint(sum) {
				t.Errorf("%s: exit %d, %s%s; want %d", key, code, stdout, stderr, sum)
			}
		}
	}
}

// What is counted in memory only, for the stream is away, is not counted: the
// input stops there, unless that is what was asked for.
func TestInputWithoutAStream(t *testing.T) {
	input := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(input, []byte("a 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"ack":"memory","receipt":"p.0.1"}`)
	}))
	defer api.Close()
	for ack, want := range map[string]int{"memory": 0, "stored": exitBroken, "applied": exitBroken} {
		cmd, stderr := counting(t, input, "--server", api.URL, "--retry-for", "100ms", "--ack", ack)
		code, said := outcome(t, cmd.Run()), ""
		if said = stderr.String(); code != want || (want != 0) != strings.Contains(said, "in memory, and not stored in time") {
			t.Errorf("%s: exit %d: %s", ack, code, said)
		}
		if !resumeID.MatchString(said) {
			t.Errorf("%s: no way to go on: %s", ack, said)
		}
	}
}

// Another input under the name of one that was counted stops at the lines that
// differ, and says what became of them: with several partitions a part counts.
func TestAnotherInputUnderTheSameName(t *testing.T) {
	var keys [2]string
	for i := 0; keys[0] == "" || keys[1] == ""; i++ {
		key := fmt.Sprint("k", i)
		keys[piccolo.Partition(piccolo.Hash(key), 2)] = key
	}
	data := t.TempDir()
	var p *process
	for _, c := range []struct {
		input string
		code  int
		says  string
	}{
		{keys[0] + " 1\n", 0, "1 increments counted"},
		{keys[0] + " 2\n", exitFailed, "stopped after 0 lines were counted: what follows is not what was counted before with --resume-id import: of 1 lines none counted: to go on"},
		{keys[0] + " 2\n" + keys[1] + " 5\n" + keys[0] + " 3\n", exitFailed, "of 3 lines 1 counted, in partitions that had nothing under this name, and the others never will: to go on"},
		{keys[0] + " 1\n", 0, "1 increments counted"},
	} {
		if p != nil {
			p.stop() // what the ingress remembers it refuses, all of it
		}
		p = startAllInOne(t, "--listen", "127.0.0.1:0", "--data", data, "--partitions", "2")
		input := filepath.Join(t.TempDir(), "input")
		if err := os.WriteFile(input, []byte(c.input), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd, stderr := counting(t, input, "--server", p.api, "--resume-id", "import")
		if code := outcome(t, cmd.Run()); code != c.code || !strings.Contains(stderr.String(), c.says) || strings.Contains(stderr.String(), "same input") {
			t.Errorf("%q: exit %d: %s; want %d, %s", c.input, code, stderr, c.code, c.says)
		}
	}
	for i, want := range []string{"1", "5"} {
		if code, stdout, stderr := piccoloRun(t, "get", "--server", p.api, keys[i]); code != 0 || strings.TrimSpace(stdout) != want {
			t.Errorf("%s: exit %d, %s%s; want %s", keys[i], code, stdout, stderr, want)
		}
	}
}

// Where a reply was lost before that, nobody says that nothing counted.
func TestAnotherInputAfterALostReply(t *testing.T) {
	input := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(input, []byte("a 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"status":422}`)
	}))
	defer api.Close()
	cmd, stderr := counting(t, input, "--server", api.URL, "--resume-id", "import")
	if code := outcome(t, cmd.Run()); code != exitFailed || !strings.Contains(stderr.String(), "of 1 lines some may have counted: to go on") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// Of an input that is followed, what stands before a line that cannot be read is
// counted, and nothing behind it: it has no name to go on under.
func TestFollowedInputWithABadLine(t *testing.T) {
	input := filepath.Join(t.TempDir(), "input")
	writeFile(t, input, "fa 1\n\nfb 1\nx y z\nfc 1\n")
	p := startAllInOne(t, "--listen", "127.0.0.1:0")
	cmd, stderr := counting(t, input, "--server", p.api, "--follow")
	code, said := outcome(t, cmd.Run()), stderr.String()
	if code != 1 || !strings.Contains(said, "stopped after 2 lines were counted: line 4: ") || !strings.Contains(said, "all lines before that are counted, none behind it") {
		t.Errorf("exit %d: %s", code, said)
	}
	for key, want := range map[string]string{"fa": "1", "fb": "1", "fc": ""} {
		if _, stdout, stderr := piccoloRun(t, "get", "--server", p.api, key); strings.TrimSpace(stdout) != want {
			t.Errorf("%s: %s%s; want %q", key, stdout, stderr, want)
		}
	}

	// What was sent, and not answered, may be counted.
	writeFile(t, input, "fa 1\n")
	cmd, stderr = counting(t, input, "--server", "http://127.0.0.1:1", "--follow", "--retry-for", "0s")
	if code, said := outcome(t, cmd.Run()), stderr.String(); code != exitBroken || !strings.Contains(said, "of the lines behind them, some may be counted") {
		t.Errorf("exit %d: %s", code, said)
	}
}
