package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/client"
)

// What a user does, against the real service.
func TestUser(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), start(t)
	c := s.client()

	counted, err := c.Increment(ctx, "a/b ..?", 7, client.WithAck(client.Applied))
	if err != nil || counted.Ack != client.Applied || counted.Value == nil || *counted.Value != 7 || counted.Receipt == "" {
		t.Fatalf("%+v, %v", counted, err)
	}
	for _, key := range []string{"..", "ключ", "%2F"} {
		counted, err := c.Increment(ctx, key, -3)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.Get(ctx, key, client.After(counted.Receipt)); err != nil || n.Number != (client.Number{Key: key, Value: -3}) {
			t.Errorf("%q: %+v, %v", key, n, err)
		}
	}
	if n, err := c.Get(ctx, "never"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("%+v, %v", n, err)
	}
	if _, err := c.Increment(ctx, "", 1); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("a blank key: %v", err)
	}

	var many []client.Increment
	var keys []string
	for i := range 1500 {
		keys = append(keys, fmt.Sprintf("user:%04d", i))
		many = append(many, client.Increment{Key: keys[i], Value: int64(i)})
	}
	for range 2 {
		if counted, err = c.IncrementAll(ctx, many, client.WithAck(client.Applied), client.WithIdempotencyKey("all-of-them")); err != nil {
			t.Fatal(err)
		}
	}
	all, err := c.GetAll(ctx, append(keys, "never", "never", keys[0]), client.After(counted.Receipt))
	if err != nil || len(all.Numbers) != 1500 || all.Numbers[1499].Value != 1499 || !slices.Equal(all.Missing, []string{"never"}) {
		t.Errorf("%d numbers, missing %q, %v", len(all.Numbers), all.Missing, err)
	}
	listed := 0
	for n, err := range c.List(ctx, "user:") {
		if err != nil || n.Key != keys[listed] || n.Value != int64(listed) {
			t.Fatalf("%+v, %v", n, err)
		}
		listed++
	}
	if listed != 1500 {
		t.Errorf("%d numbers are listed, want 1500", listed)
	}
	if top, err := c.Top(ctx, "user:", 2); err != nil || len(top.Numbers) != 2 || top.Numbers[0].Value != 1499 {
		t.Errorf("%+v, %v", top, err)
	}

	if _, err := c.Set(ctx, "user:0000", 42, client.WithAck(client.Applied)); err != nil {
		t.Error(err)
	}
	if n, err := c.Get(ctx, "user:0000"); err != nil || n.Value != 42 {
		t.Errorf("%+v, %v", n, err)
	}
	if _, err := c.Clear(ctx, "user:0000", client.WithAck(client.Applied)); err != nil {
		t.Error(err)
	}
	if n, err := c.Get(ctx, "user:0000"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("%+v, %v", n, err)
	}
}

// A key that stands for other increments is told of as such, whether a part of
// the new ones counts or none.
func TestKeyOfOtherIncrements(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), start(t, "--partitions", "2")
	c := s.client()
	var keys [2]string
	for i := 0; keys[0] == "" || keys[1] == ""; i++ {
		key := fmt.Sprint("k", i)
		keys[piccolo.Partition(piccolo.Hash(key), 2)] = key
	}
	count := func(increments ...client.Increment) (client.Counted, error) {
		return c.IncrementAll(ctx, increments, client.WithAck(client.Applied), client.WithIdempotencyKey("order-4711"))
	}
	if counted, err := count(client.Increment{Key: keys[0], Value: 1}); err != nil || counted.Counted != 1 || counted.Conflict {
		t.Errorf("%+v, %v", counted, err)
	}
	var p *client.Problem
	if counted, err := count(client.Increment{Key: keys[0], Value: 2}); !errors.Is(err, client.ErrConflict) || !errors.As(err, &p) || p.Unsure || counted.Counted != 0 {
		t.Errorf("none counts: %+v, %v", counted, err)
	}
	for range 2 {
		s.kill() // what the ingress remembers it refuses, all of it
		s.launch()
		counted, err := count(client.Increment{Key: keys[0], Value: 2}, client.Increment{Key: keys[1], Value: 5})
		if !errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), "1 of 2 count") || errors.As(err, &p) || counted.Counted != 1 || !counted.Conflict {
			t.Errorf("a part counts: %+v, %v", counted, err)
		}
	}
	for i, want := range []int64{1, 5} {
		if n, err := c.Get(ctx, keys[i]); err != nil || n.Value != want {
			t.Errorf("%+v, %v; want %d", n, err, want)
		}
	}
}

// However often the service is killed, what a batcher was given is counted
// once, and who watches ends up with the total.
func TestServiceIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.client(client.WithRetry(10 * time.Minute)) // on a machine that takes long to start it
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const each = 2000
	b := c.NewBatcher(client.BatchOptions{Ack: client.Stored})
	var adding sync.WaitGroup
	for range 3 {
		adding.Go(func() {
			for i := range each {
				if err := b.Add(ctx, fmt.Sprint("k", i%7), 1); err != nil {
					t.Error(err)
				}
				if i%500 == 0 {
					if err := b.Flush(ctx); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	watched := make(map[string]int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range c.Watch(ctx, client.Selection{Prefix: "k"}) {
			if err != nil {
				t.Error(err)
				return
			}
			if e.Kind == client.Changed {
				watched[e.Key] = e.Value
			}
			sum := int64(0)
			for _, value := range watched {
				sum += value
			}
			if sum == 3*each {
				return
			}
		}
	}()
	for range 3 {
		s.kill()
		s.launch()
	}
	adding.Wait()
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
	<-done
	sum := int64(0)
	for n, err := range c.List(ctx, "k") {
		if err != nil {
			t.Fatal(err)
		}
		if sum += n.Value; watched[n.Key] != n.Value {
			t.Errorf("%s is %d, and was watched as %d", n.Key, n.Value, watched[n.Key])
		}
	}
	if sum != 3*each {
		t.Errorf("counted %d, want %d", sum, 3*each)
	}
}
