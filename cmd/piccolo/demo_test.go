package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ctrl-C ends the demo with the proof, whatever somebody else counted meanwhile.
func TestDemoUntilCtrlC(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Args = []string{"piccolo", "demo", "--rate", "50"}
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() }).Stop() // which ends what it says
	out := bufio.NewReader(pipe)
	var api []string
	for line := ""; api == nil; api = regexp.MustCompile(`curl -d 'key=you&value=1' (.*)/increment`).FindStringSubmatch(line) {
		if line, err = out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		increment(t.Context(), "http://"+api[1], demoKey(0), 1, "applied") // as its clients do
	}
	// Its clients begin after it has said all this, and each of their keys has the
	// run's name before it.
	for !counts(t, "http://"+api[1], `"key":"[0-9a-f]{4}/`) {
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !regexp.MustCompile(`(?m)^ok +clients +[1-9]`).Match(rest) || strings.Contains(string(rest), "BROKEN") {
		t.Errorf("%v: %s", err, rest)
	}
}

// Ctrl-C while the service still starts is no failure of it.
func TestDemoInterruptedEarly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	service := &demoService{ended: make(chan error)}
	if err := service.ready(ctx, "127.0.0.1:0"); !errors.Is(err, errInterrupted) {
		t.Errorf("it ends with %v", err)
	}
}

// counts says whether a service has a number that a pattern matches.
func counts(t *testing.T, api, pattern string) bool {
	t.Helper()
	res, err := http.Get(api + "/v1/numbers")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", res.Status, err, body)
	}
	return regexp.MustCompile(pattern).Match(body)
}
