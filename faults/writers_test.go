package faults_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"testing"
	"time"

	sdk "github.com/piccolo-counter/piccolo/client"
)

// apiClient is a client of the service's, as a program would use one.
func (s *service) apiClient() *sdk.Client {
	s.t.Helper()
	c, err := sdk.New("http://" + s.api)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// Two writers have half of the partitions and a database each. What is read
// through one ingress is as if there were one: keys, pages, the largest, and
// changes. Where one writer is away, what needs it says so, the rest goes on;
// and who watches is told of everything when it is back.
func TestReadsOfTwoWriters(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	server.start()
	if out, err := exec.Command(binary, "stream", "init", "--nats", "nats://"+server.nats, "--partitions=4").CombinedOutput(); err != nil {
		t.Fatalf("stream init: %v: %s", err, out)
	}
	writers := []*service{newWriter(t, server.nats, "--partition=0-1"), newWriter(t, server.nats, "--partition=2,3")}
	ingress := newIngress(t, server.nats, "--ack-timeout=20s")
	for _, s := range append(writers, ingress) {
		s.start()
	}
	ctx := t.Context()
	api := ingress.apiClient()

	const keys = 1500
	var names []string
	var all []sdk.Increment
	for i := range keys {
		names = append(names, fmt.Sprintf("user:%04d", i))
		all = append(all, sdk.Increment{Key: names[i], Value: int64(i)})
	}
	if _, err := api.IncrementAll(ctx, all, sdk.WithAck(sdk.Applied)); err != nil {
		t.Fatal(err)
	}
	// A key of each writer's.
	var mine [2]string
	for i, w := range writers {
		numbers := w.contents().numbers
		if len(numbers) < keys/4 {
			t.Fatalf("writer %d has %d of %d keys: the test proves little", i, len(numbers), keys)
		}
		mine[i] = slices.Min(slices.Collect(maps.Keys(numbers)))
	}

	got, err := api.GetAll(ctx, append(slices.Clone(names), "never"))
	if err != nil || len(got.Numbers) != keys || !slices.Equal(got.Missing, []string{"never"}) {
		t.Errorf("%d numbers, missing %q, %v", len(got.Numbers), got.Missing, err)
	}
	for i, n := range got.Numbers {
		if n != (sdk.Number{Key: names[i], Value: int64(i)}) {
			t.Fatalf("number %d is %+v", i, n)
		}
	}
	listed := 0
	for n, err := range api.List(ctx, "user:") {
		if err != nil || listed >= keys || n != (sdk.Number{Key: names[listed], Value: int64(listed)}) {
			t.Fatalf("number %d is listed as %+v, %v", listed, n, err)
		}
		listed++
	}
	if listed != keys {
		t.Errorf("%d numbers are listed, want %d", listed, keys)
	}
	top, err := api.Top(ctx, "user:", 50)
	if err != nil || len(top.Numbers) != 50 {
		t.Fatalf("%d numbers, %v", len(top.Numbers), err)
	}
	for i, n := range top.Numbers {
		if n.Value != int64(keys-1-i) {
			t.Errorf("the largest but %d is %+v", i, n)
		}
	}

	// Everything is watched, from a snapshot on.
	watching, enough := context.WithCancel(ctx)
	defer enough()
	events := make(chan sdk.Event)
	go func() {
		for e, err := range api.Watch(watching, sdk.Selection{Prefix: "user:"}) {
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case events <- e:
			case <-watching.Done():
				return
			}
		}
	}()
	state := make(map[string]int64)
	until := func(what string, is func(e sdk.Event) bool) {
		t.Helper()
		for deadline := time.After(2 * patience); ; {
			select {
			case e := <-events:
				switch e.Kind {
				case sdk.Reset:
					clear(state)
				case sdk.Changed:
					state[e.Key] = e.Value
				case sdk.Deleted:
					delete(state, e.Key)
				}
				if is(e) {
					return
				}
			case <-deadline:
				t.Fatalf("watched for %s in vain", what)
			}
		}
	}
	until("all numbers", func(e sdk.Event) bool { return e.Kind == sdk.Live })
	if len(state) != keys {
		t.Errorf("%d numbers are in the snapshot, want %d", len(state), keys)
	}
	for i, key := range mine {
		if _, err := api.Set(ctx, key, int64(-1-i), sdk.WithAck(sdk.Applied)); err != nil {
			t.Fatal(err)
		}
		until("a key of each writer", func(e sdk.Event) bool { return e.Key == key && e.Value == int64(-1-i) })
	}
	if _, err := api.Clear(ctx, mine[1], sdk.WithAck(sdk.Applied)); err != nil {
		t.Fatal(err)
	}
	until("a key that is removed", func(e sdk.Event) bool { return e.Kind == sdk.Deleted && e.Key == mine[1] })

	// One of the writers is away.
	writers[1].kill()
	impatient, err := sdk.New("http://"+ingress.api, sdk.WithRetry(0))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := impatient.Get(ctx, mine[0]); err != nil || n.Value != -1 {
		t.Errorf("%+v, %v: want -1, of the writer that is there", n, err)
	}
	var problem *sdk.Problem
	if n, err := impatient.Get(ctx, mine[1]); !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
		t.Errorf("%+v, %v: want 503", n, err)
	}
	if n, err := impatient.Top(ctx, "", 10); !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
		t.Errorf("%d numbers, %v: want 503", len(n.Numbers), err)
	}
	if _, err := api.Increment(ctx, mine[1], 7, sdk.WithAck(sdk.Stored)); err != nil {
		t.Fatal(err)
	}
	writers[1].start()
	until("what the writer missed", func(sdk.Event) bool { return len(state) == keys && state[mine[1]] == 7 })
	if _, err := api.Increment(ctx, mine[0], 2, sdk.WithAck(sdk.Stored)); err != nil {
		t.Fatal(err)
	}
	until("the other writer's key", func(e sdk.Event) bool { return e.Key == mine[0] && e.Value == 1 })
	enough()
	// What was watched is what there is.
	for n, err := range api.List(ctx, "user:") {
		if err != nil {
			t.Fatal(err)
		}
		if state[n.Key] != n.Value {
			t.Errorf("%s is %d, and was watched as %d", n.Key, n.Value, state[n.Key])
		}
	}

	ingress.stop()
	for _, w := range writers {
		w.stop()
		w.contents().check(t)
	}
	server.kill()
}
