package main

import (
	"regexp"
	"strings"
	"testing"
)

// Of a service that does its work everything is well, and a stream that is not
// fsynced is warned of.
func TestDoctorOfAService(t *testing.T) {
	for sync, says := range map[string]string{"always": "the stream is fsynced before each acknowledgement", "interval": "a power cut loses increments that were acknowledged"} {
		data := t.TempDir()
		p := startAllInOne(t, "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--sync", sync)
		nats := regexp.MustCompile(`nats://\S+`).FindString(p.greeting)
		admin := strings.TrimPrefix(adminOf(p), "http://")
		increment(t.Context(), p.api, "foo", 1, "applied")
		code, stdout, stderr := piccoloRun(t, "doctor", "--data", data, "--nats", nats, "--admin", admin)
		if code != 0 || !strings.Contains(stdout, says) || !strings.Contains(stdout, "ready") || strings.Contains(stdout, "WRONG") {
			t.Errorf("--sync %s: exit %d: %s%s", sync, code, stdout, stderr)
		}
		p.stop()
	}
}
