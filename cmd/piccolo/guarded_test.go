package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// guardedNATS runs a NATS server with the users that piccolo auth makes, each
// without the subjects in without. It returns the flags of a user of each role.
func guardedNATS(t *testing.T, without ...string) func(bus.Role) []string {
	t.Helper()
	dir := t.TempDir()
	code, users, stderr := piccoloRun(t, "auth", "--dir", dir)
	if code != 0 {
		t.Fatal(stderr)
	}
	for _, subject := range without {
		line := fmt.Sprintf("%q\n", subject)
		if !strings.Contains(users, line) {
			t.Fatalf("nobody has a permission for %s", subject)
		}
		users = strings.ReplaceAll(users, line, "\n")
	}
	ns := natsOfUsers(t, dir, users)
	return func(role bus.Role) []string {
		return []string{"--nats", "nats://" + ns.Addr().String(), "--nats-nkey", filepath.Join(dir, string(role)+".nk")}
	}
}

// A stream is not grown by who could not hear of a process that still runs.
func TestRepartitionIsNotDeaf(t *testing.T) {
	as := guardedNATS(t, "piccolo.report.*")
	admin := as(bus.RoleAdmin)
	if code, _, stderr := piccoloRun(t, append([]string{"stream", "init", "--stream-max-bytes", "1MiB"}, admin...)...); code != 0 {
		t.Fatal(stderr)
	}
	code, _, stderr := piccoloRun(t, append([]string{"stream", "repartition", "--partitions", "2"}, admin...)...)
	if code != exitFailed || !strings.Contains(stderr, `subscribe to \"piccolo.report.*\"`) {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if code, stdout, stderr := piccoloRun(t, append([]string{"stream", "info", "--json"}, as(bus.RoleObserver)...)...); code != 0 || !strings.Contains(stdout, `"partitions": 1`) {
		t.Errorf("exit %d, %s\n%s", code, stdout, stderr)
	}
}

// Who verifies needs no more than the writer has, whose database is read; any
// other user is told what is missing.
func TestVerifyAsAWriter(t *testing.T) {
	as := guardedNATS(t)
	if code, _, stderr := piccoloRun(t, append([]string{"stream", "init", "--stream-max-bytes", "1MiB"}, as(bus.RoleAdmin)...)...); code != 0 {
		t.Fatal(stderr)
	}
	ingress := as(bus.RoleIngress)
	conn, err := bus.Connect(bus.Remote{URL: ingress[1], NKey: ingress[3], Role: bus.RoleIngress}, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Seq: 1}, Increments: 10, Deltas: []piccolo.Delta{{Key: "foo", Value: 1}}}
	if err := conn.Publish(t.Context(), &piccolo.Message{ID: b.BatchID, Keys: 1, Increments: 10, Data: piccolo.AppendBatch(nil, &b)}); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(data, "numbers.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := piccoloRun(t, append([]string{"verify", "--data", data}, as(bus.RoleWriter)...)...)
	if code != 0 || !strings.Contains(stdout, "1 batch with 10 increments to go") {
		t.Errorf("exit %d, %s\n%s", code, stdout, stderr)
	}
	code, _, stderr = piccoloRun(t, append([]string{"verify", "--data", data}, as(bus.RoleObserver)...)...)
	if code != exitFailed || !strings.Contains(stderr, "does not let this user") || !strings.Contains(stderr, "the writer's user") {
		t.Errorf("an observer: exit %d, %s", code, stderr)
	}
}

// No part of it goes on for longer than it may.
func TestVerifyTimeout(t *testing.T) {
	data := stopped(t, nil)
	code, _, stderr := piccoloRun(t, "verify", "--offline", "--data", data, "--timeout", "1ns")
	if code != exitFailed || !strings.Contains(stderr, "--timeout 1ns") || !strings.Contains(stderr, "--quick") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
