package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
)

func TestReady(t *testing.T) {
	p := startAllInOne(t, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	var admin string
	for line := range strings.Lines(p.greeting) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "admin"); ok {
			admin = strings.TrimPrefix(strings.TrimSpace(rest), "http://")
		}
	}
	var stdout, stderr bytes.Buffer
	if code := command([]string{"ready", "--admin", admin}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "[+] writer: ok") {
		t.Errorf("exit code %d: %s%s", code, stdout.String(), stderr.String())
	}
	p.stop()

	stdout.Reset()
	if code := command([]string{"ready", "--admin", admin}, &stdout, &stderr); code != exitBroken || !strings.Contains(stderr.String(), "does the service run") {
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
