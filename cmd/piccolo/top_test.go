package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// Without a terminal it is plain text, a picture after the other; with --json a
// line of JSON for each.
func TestTop(t *testing.T) {
	p := startAllInOne(t, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	nats := regexp.MustCompile(`nats://\S+`).FindString(p.greeting)
	for range 20 {
		increment(t.Context(), p.api, "<hot>\x1b[2J", 7, "applied")
	}
	code, stdout, stderr := piccoloRun(t, "top", "--nats", nats, "--count", "1", "--json")
	var s admin.Snapshot
	if err := json.Unmarshal([]byte(stdout), &s); code != 0 || err != nil || len(s.Processes) != 1 || s.Conservation.Accepted != 20 || s.Conservation.Folded != 20 {
		t.Errorf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	if len(s.Hottest) != 1 || s.Hottest[0].Key != "<hot>\x1b[2J" || *s.Hottest[0].Value != 140 {
		t.Errorf("%+v", s.Hottest)
	}
	code, stdout, stderr = piccoloRun(t, "top", "--nats", nats, "--count", "2")
	if code != 0 || strings.Count(stdout, "accepted 20 = in memory 0 + backlog 0 + folded 20  ✓") != 2 ||
		!strings.Contains(stdout, `"<hot>\x1b[2J"`) || !strings.Contains(stdout, "all-in-one") || strings.Contains(stdout, "\x1b") {
		t.Errorf("exit %d: %q %s", code, stdout, stderr)
	}
	p.stop()
	if code, stdout, stderr := piccoloRun(t, "top", "--nats", nats, "--count", "1"); code != 1 || stdout != "" || !strings.Contains(stderr, "connect to NATS") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// Whatever is wrong is said.
func TestTopText(t *testing.T) {
	t.Parallel()
	value := int64(-1234567)
	s := admin.Snapshot{
		Hottest:      []piccolo.Hot{{Key: strings.Repeat("ü", 100), Moved: 12.34, Value: &value}},
		Conservation: admin.Conservation{Accepted: 5, Folded: 6, Broken: 1, Followed: true},
		Processes:    []admin.Process{{Role: "writer", Silent: 90}, {Role: "ingress", Unready: "nats: away", Error: "key \x1b[2J"}, {Role: "all-in-one", Warning: "disk: 1 KiB is free"}},
	}
	text := topText(s, []admin.Point{{Accepted: 1}, {Accepted: 4}}, 240, false)
	for _, want := range []string{"✗ 1 increment does not add up", "silent for 1m30s", "not ready, nats: away; last error", "disk: 1 KiB is free", "-1,234,567", "ü…", "▃█", "backlog", "unknown"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Errorf("what is said controls the terminal: %q", text)
	}
}
