//go:build crashpoints

// Package crashpoint names the moments at which the process may die, so that
// tests can have it die there. Without the build tag crashpoints it is nothing.
//
// The idea is from bluesky-social/jetstream.
package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// at is where to die, from PICCOLO_CRASHPOINT=name[:nth].
var at, left = parse(os.Getenv("PICCOLO_CRASHPOINT"))

func parse(s string) (name string, left *atomic.Int64) {
	left = new(atomic.Int64)
	name, nth, counted := strings.Cut(s, ":")
	n := 1
	if counted {
		var err error
		if n, err = strconv.Atoi(nth); err != nil || n < 1 {
			panic("PICCOLO_CRASHPOINT=" + s + ": want name[:nth]")
		}
	}
	left.Store(int64(n))
	return name, left
}

// Here dies as kill -9 does, at the nth time that the named point is passed.
func Here(name string) {
	if name == at && left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
