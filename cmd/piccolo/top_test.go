package main

import (
	"encoding/json"
	"errors"
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
	if code != 0 || strings.Count(stdout, "✓ accepted 20 = in memory 0 + published 20\n  published 20 = backlog 0 + folded 20\n") != 2 ||
		!strings.Contains(stdout, `"<hot>\x1b[2J"`) || !strings.Contains(stdout, "all-in-one") || strings.Contains(stdout, "\x1b") {
		t.Errorf("exit %d: %q %s", code, stdout, stderr)
	}
	p.stop()
	if code, stdout, stderr := piccoloRun(t, "top", "--nats", nats, "--count", "1"); code != exitBroken || stdout != "" || !strings.Contains(stderr, "connect to NATS") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// Whatever is wrong is said.
func TestTopText(t *testing.T) {
	t.Parallel()
	value := int64(-1234567)
	p := picture{points: []admin.Point{{Accepted: 1}, {Accepted: 4}}, Snapshot: admin.Snapshot{
		Hottest:      []piccolo.Hot{{Key: strings.Repeat("ü", 100), Moved: 12.34, Value: &value}},
		Conservation: admin.Conservation{Accepted: 5, Folded: 6, Broken: 1, Followed: true},
		Unserved:     []int{3},
		Processes: []admin.Process{
			{Role: "ingress", Ended: "stopped"}, {Role: "writer", Silent: 90}, {Role: "ingress", Unready: "nats: away", Error: "key \x1b[2J"},
			{Role: "all-in-one", Warning: "disk: 1 KiB is free"}, {Role: "writer", Ended: "failed, disk I/O error"},
		},
	}}
	text := p.text(wide, false)
	for _, want := range []string{
		"✗ accepted 5", "1 increment does not add up: run piccolo verify", "no writer reports on partition 3", "silent for 1m30s", "not ready, nats: away; last error",
		"disk: 1 KiB is free", "failed, disk I/O error, ", "stopped, ", "-1,234,567", "ü…", "▃█", "backlog", "unknown",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Errorf("what is said controls the terminal: %q", text)
	}

	// Where there is little room, what is said of who is in trouble stands below it,
	// and comes before all others.
	text = p.text(size{80, 24}, false)
	if lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n"); len(lines) > 24 || !strings.HasPrefix(lines[19], "✗ writer") || lines[20] != "  silent for 1m30s" || !strings.HasPrefix(lines[len(lines)-1], "  and ") {
		t.Errorf("%d lines:\n%s", len(lines), text)
	}
	for _, line := range strings.Split(text, "\n") {
		if n := len([]rune(line)); n > 80 {
			t.Errorf("%d characters: %s", n, line)
		}
	}

	for says, p := range map[string]picture{
		"✗ accepted 9 = in memory 0 + published 9\n  published 9 = backlog 0 + folded 6 + lost 3\n  1 batch is neither in the ledger nor in the stream: run piccolo verify": {
			Snapshot: admin.Snapshot{Processes: make([]admin.Process, 1), Conservation: admin.Conservation{Accepted: 9, Published: 9, Folded: 6, Lost: 3, LostBatches: 1, Followed: true}}},
		"no process reports on nats://there: is a piccolo running there?": {nats: "nats://there"},
		"nats://there: gone away": {nats: "nats://there", away: errors.New("gone away")},
	} {
		if text := p.text(wide, false); !strings.Contains(text, says) {
			t.Errorf("no %q in\n%s", says, text)
		}
	}
}

// A line is cut to what is seen of it, and keeps its colours.
func TestClip(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"four": "four", "fives": "five", "\x1b[31mrot\x1b[0mblau": "\x1b[31mrot\x1b[0mb", "ünühü": "ünüh", "\x1b[1mfives\x1b[0m": "\x1b[1mfive\x1b[0m",
	} {
		if got := clip(line, 4); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}
