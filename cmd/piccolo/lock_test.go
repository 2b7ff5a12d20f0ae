package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
	wait := newStandby(slog.New(slog.NewTextHandler(said, nil)))
	defer wait.over()
	standby := make(chan taken)
	go func() {
		unlock, err := lockFile(path, wait)
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

// Who looks whether a lock is taken learns by whom, and keeps nobody from taking
// it; a number that the one before left is nobody's.
func TestHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if pid, err := holder(path); err != nil || pid != "" {
		t.Errorf("a lock that is not there is %q's, %v", pid, err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil { // of a process that there always is
		t.Fatal(err)
	}
	if pid, err := holder(path); err != nil || pid != "" {
		t.Errorf("a lock that nobody has is %q's, %v", pid, err)
	}
	var lookers sync.WaitGroup
	defer lookers.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lookers.Go(func() {
		for ctx.Err() == nil {
			_, _ = holder(path)
		}
	})
	for range 20 {
		unlock, err := lockFile(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if pid, err := holder(path); err != nil || pid != strconv.Itoa(os.Getpid()) {
			t.Errorf("this process's lock is %q's, %v", pid, err)
		}
		unlock()
	}
}

// A process that looks who has the lock, and has to wait for its turn while it does,
// is not taken for one that has it.
func TestLockedByALooker(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	looker, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(looker.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { _ = looker.Close() })
	unlock, err := lockFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// A lock that was moved away while a standby waited for it keeps nobody from the
// database: the standby waits for who has the one that is there.
func TestStandbyOfALockThatIsMovedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lockFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	said := make(lines, 3)
	wait := newStandby(slog.New(slog.NewTextHandler(said, nil)))
	defer wait.over()
	standby := make(chan func())
	go func() {
		unlock, err := lockFile(path, wait)
		if err != nil {
			t.Error(err)
		}
		standby <- unlock
	}()
	<-said // that it stands by
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	second, err := lockFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	first()
	select {
	case <-standby:
		t.Fatal("the standby took over beside the second")
	case line := <-said:
		if !strings.Contains(line, "standing by") {
			t.Errorf("the standby says %q", line)
		}
	}
	second()
	unlock := <-standby
	if _, err := lockFile(path, nil); !errors.As(err, new(lockedError)) {
		t.Errorf("beside the standby: got error %v, want that it is locked", err)
	}
	unlock()
}

// lines takes what is written to a log.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
