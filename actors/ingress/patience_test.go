package ingress

import (
	"testing"
	"testing/synctest"
	"time"
)

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A wait takes the timeout, or little less: never as long as twice, and never
// nothing.
func TestPatienceEndsAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(time.Second)
		var waits []<-chan struct{}
		start := time.Now()
		for range 100 {
			waits = append(waits, p.ends())
			time.Sleep(5 * time.Millisecond)
		}
		for i, w := range waits {
			<-w
			took := time.Since(start) - time.Duration(i)*5*time.Millisecond
			if took > time.Second || took < time.Second-time.Second/patienceSteps {
				t.Errorf("wait %d took %s, want a second", i, took)
			}
		}
		if len(p.lives) > 0 {
			t.Errorf("%d limits are kept", len(p.lives))
		}
	})
}

// Those that begin to wait together wait for the same.
func TestPatienceIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(time.Minute)
		for range 1000 {
			p.ends()
			time.Sleep(time.Millisecond)
		}
		if n := len(p.lives); n > 3 {
			t.Errorf("a second of waits takes %d timers", n)
		}
		p.end()
	})
}

func TestPatienceEndsWithTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(time.Hour)
		before := p.ends()
		if isClosed(before) {
			t.Fatal("a wait has ended that has just begun")
		}
		p.end()
		p.end()
		if !isClosed(before) || !isClosed(p.ends()) {
			t.Error("a wait goes on after the stop")
		}
	})
}
