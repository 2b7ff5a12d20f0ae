package faults_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/piccolo-counter/piccolo/client"
)

// Clients watch everything and read nothing. The writer and those that read
// notice nothing, memory is bounded, and when they read after all they either
// come to the last total or find that they have been hung up on.
func TestSlowWatchers(t *testing.T) {
	t.Parallel()
	const (
		keys = 20_000 // of 200 bytes: the snapshot alone is more than the kernel takes for a client
		slow = 30
		each = 8 << 10 // KiB that a client may take: a page and what becomes of it, and not the 29 MiB that it is to be sent
	)
	s := newService(t)
	s.start()
	ctx, api := t.Context(), s.apiClient()
	all := make([]sdk.Increment, keys)
	for i := range all {
		all[i] = sdk.Increment{Key: fmt.Sprintf("wide-%05d-%s", i, strings.Repeat("x", 190)), Value: 1}
	}
	change := func() {
		t.Helper()
		if _, err := api.IncrementAll(ctx, all, sdk.WithAck(sdk.Applied)); err != nil {
			t.Fatal(err)
		}
	}
	change()
	before := rss(t, s)

	var lazy []net.Conn
	for range slow {
		c := s.dial()
		if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET /v1/watch?prefix= HTTP/1.1\r\nHost: piccolo\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		lazy = append(lazy, c)
	}
	last := all[keys-1].Key
	watched, seen := make(chan int64), int64(0)
	reading, enough := context.WithCancel(ctx)
	defer enough()
	go func() {
		defer close(watched)
		for e, err := range api.Watch(reading, sdk.Selection{Keys: []string{last}}) {
			if err != nil {
				t.Error(err)
				return
			}
			if e.Kind == sdk.Changed {
				select {
				case watched <- e.Value:
				case <-reading.Done():
					return
				}
			}
		}
	}()
	const changes = 5
	for n := range int64(changes) {
		for seen < n+1 { // each change is told of before the next
			select {
			case seen = <-watched:
			case <-time.After(patience):
				t.Fatalf("the watcher that reads is not told of total %d, after %d", n+1, seen)
			}
		}
		change()
	}
	enough()
	grown := rss(t, s) - before
	if grown > slow*each {
		t.Errorf("%d watchers that do not read, and %d changes of all, took %d KiB", slow, changes, grown)
	}

	want := fmt.Sprintf(`{"key":%q,"value":%d,`, last, changes+1)
	var came, hungUp atomic.Int64
	var readers sync.WaitGroup
	for _, c := range lazy {
		if err := c.(*net.TCPConn).SetReadBuffer(1 << 20); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(4 * patience)); err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			lines := bufio.NewScanner(c)
			for lines.Scan() {
				if strings.Contains(lines.Text(), want) {
					came.Add(1)
					return
				}
			}
			if errors.Is(lines.Err(), os.ErrDeadlineExceeded) {
				t.Errorf("a watcher that reads again is neither told the total nor hung up on")
				return
			}
			hungUp.Add(1)
		})
	}
	readers.Wait()
	t.Logf("%d watchers that did not read took %d KiB; %d came to the last total, %d were hung up on", slow, grown, came.Load(), hungUp.Load())
	s.stop()
}
