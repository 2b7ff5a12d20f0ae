package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A lock goes with the process that holds it, however that ends. So nobody has
// to guess whether the one before still works, as with a lease; and if the lock
// were to fail, the database's fence lets only the last to open it commit.

// lockName is the lock of a data directory. It has the number of the process that
// took it last.
const lockName = "lock"

// lockDir makes the data directory, where there is none, and takes it for this
// process.
func lockDir(dir string) (unlock func(), err error) { return lockDirWaiting(dir, nil) }

// lockDirWaiting waits for the process that has the directory; where wait is nil,
// it does not.
func lockDirWaiting(dir string, wait *standby) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w: choose another with --data", err)
	}
	unlock, err = lockFile(filepath.Join(dir, lockName), wait)
	if errors.As(err, new(lockedError)) {
		return nil, fmt.Errorf("data directory %s is %w: stop it, or choose another with --data", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("data directory: %w: choose another with --data", err)
	}
	return unlock, nil
}

// lockDatabase takes the database at path for the one process that writes it.
// Where wait is not nil, it waits for the one that does.
func lockDatabase(path string, wait *standby) (unlock func(), err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a database has one lock, by whatever name it is opened
	}
	unlock, err = lockFile(path+"-lock", wait)
	if errors.As(err, new(lockedError)) {
		return nil, fmt.Errorf("database %s is %w: one process writes a database; stop it, choose another with --db, or wait for it with piccolo writer --standby", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("database: %w: does the directory exist, and may this user write there?", err)
	}
	return unlock, nil
}

// lockedError says who has the lock.
type lockedError struct{ pid string }

func (e lockedError) Error() string {
	return fmt.Sprintf("in use by another piccolo (process %s)", e.pid)
}

// lockFile takes the lock at path. While it was waited for, somebody may have
// moved the file away; a lock on that would keep nobody from what is there now.
func lockFile(path string, wait *standby) (unlock func(), err error) {
	for {
		f, err := flock(path, wait)
		if err != nil {
			return nil, err
		}
		if !isAt(f, path) {
			_ = f.Close()
			continue
		}
		if err := f.Truncate(0); err == nil {
			_, _ = fmt.Fprintln(f, os.Getpid()) // for whoever finds it taken
		}
		return func() { _ = f.Close() }, nil
	}
}

// flock opens the file at path, and takes the lock on what it has opened.
func flock(path string, wait *standby) (f *os.File, err error) {
	f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	err = tryLock(int(f.Fd()))
	if errors.Is(err, unix.EWOULDBLOCK) {
		pid, _ := os.ReadFile(path)
		holder := lockedError{strings.TrimSpace(string(pid))}
		if wait == nil {
			return nil, holder
		}
		wait.log.Info("standing by until the other piccolo ends", "lock", path, "process", holder.pid)
		wait.waits()
		for err = unix.EINTR; errors.Is(err, unix.EINTR); {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		}
		if err == nil {
			wait.takesOver()
		}
		if err == nil && isAt(f, path) {
			wait.log.Info("the other piccolo has ended, taking over", "lock", path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// isAt says whether a file that is open is the one at path.
func isAt(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(open, there)
}

// tryLock takes a lock unless a process has it. One that is shared is nobody's:
// somebody looks who has it, for a moment, which is waited out.
func tryLock(fd int) (err error) {
	for deadline := time.Now().Add(longGlance); ; time.Sleep(time.Millisecond) {
		if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if shared := unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB); shared != nil || time.Now().After(deadline) {
			return err
		}
		if err = unix.Flock(fd, unix.LOCK_UN); err != nil {
			return err
		}
	}
}

// longGlance is longer than holder has a lock, on a machine where it has to wait
// for its turn.
const longGlance = 10 * time.Second

// holder says which process has a lock, as the lock's file has it, empty where none
// does. A number in the file says nothing by itself: after a crash it is of nobody,
// or of another program. So the lock is tried, shared, which keeps nobody from it:
// tryLock waits until that is over. A file that may not be opened says nothing, not
// even that nobody has the lock.
func holder(path string) (pid string, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return "", nil
	}
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text)), nil
}
