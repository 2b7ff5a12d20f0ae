// Package port has ports for tests that give one to a server before it runs, or
// that start a server where another one was.
package port

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

var taken sync.Map // addresses that tests of this process use

// Free returns a loopback address that nobody listens on. Its port lies below
// those that the system gives to connections and to listeners that do not care,
// so that nobody else gets it before the server starts, or while it is away.
func Free(t interface{ Fatalf(string, ...any) }) string {
	for range 1000 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000)))
		if _, used := taken.LoadOrStore(addr, true); used {
			continue
		}
		// To listen would tell as well, but a process that is just being started
		// would keep the port for a moment longer.
		c, err := net.DialTimeout("tcp", addr, time.Second)
		var late net.Error
		switch {
		case err == nil:
			_ = c.Close()
		case !errors.As(err, &late) || !late.Timeout():
			return addr
		}
	}
	t.Fatalf("no free port")
	return ""
}
