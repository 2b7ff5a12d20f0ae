package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// Whoever stands by waits for the lock, and has it when it takes over.
func TestStandbyTakesTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(whom string) {
		t.Helper()
		if _, err := lockFile(path, nil); !errors.As(err, new(lockedError)) {
			t.Fatalf("beside %s: got error %v, want that it is locked", whom, err)
		}
	}
	refused("the first")

	said := make(lines, 2)
	var ended atomic.Bool
	type taken struct {
		unlock func()
		err    error
		early  bool
	}
	standby := make(chan taken)
	go func() {
		unlock, err := lockFile(path, slog.New(slog.NewTextHandler(said, nil)))
		standby <- taken{unlock, err, !ended.Load()}
	}()
	<-said // that it stands by
	refused("the first, with a standby")
	ended.Store(true)
	unlock()
	s := <-standby
	if s.err != nil || s.early {
		t.Fatalf("the standby took over with error %v, before the first had ended: %v", s.err, s.early)
	}
	refused("the standby")
	s.unlock()
	if unlock, err = lockFile(path, nil); err != nil {
		t.Fatalf("when both have ended: %v", err)
	}
	unlock()
}

// lines takes what is written to a log.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
