package main

import (
	"bytes"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/actors/admin"
	"github.com/piccolo-counter/piccolo/internal/port"
)

func TestReady(t *testing.T) {
	p := startAllInOne(t, "--listen", "127.0.0.1:0", "--admin", port.Free(t))
	var addr string
	for line := range strings.Lines(p.greeting) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "admin"); ok {
			addr = strings.TrimPrefix(strings.TrimSpace(rest), "http://")
		}
	}
	var stdout, stderr bytes.Buffer
	if code := command([]string{"ready", "--admin", addr}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "[+] writer: ok") {
		t.Errorf("exit code %d: %s%s", code, stdout.String(), stderr.String())
	}
	stdout.Reset()
	var printed readiness
	if code := command([]string{"ready", "--json", "--admin", addr}, &stdout, &stderr); code != 0 {
		t.Errorf("--json: exit code %d: %s", code, stderr.String())
	}
	if err := json.Unmarshal(stdout.Bytes(), &printed); err != nil || !printed.Ready || !slices.ContainsFunc(printed.Checks, func(f admin.Finding) bool { return f.Name == "writer" && f.State == admin.OK }) {
		t.Errorf("--json: got %s, error %v", stdout.String(), err)
	}
	p.stop()

	stdout.Reset()
	if code := command([]string{"ready", "--admin", addr}, &stdout, &stderr); code != exitBroken || !strings.Contains(stderr.String(), "does the service run") {
		t.Errorf("exit code %d: %s%s", code, stdout.String(), stderr.String())
	}

	// One that takes a connection and says nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if code := command([]string{"ready", "--timeout", "10ms", "--admin", l.Addr().String()}, &stdout, &stderr); code != exitBroken {
		t.Errorf("exit code %d: %s%s", code, stdout.String(), stderr.String())
	}
}
