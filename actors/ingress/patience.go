package ingress

import (
	"sync"
	"time"
)

// patience ends the waits of replies: each when it has taken the ack timeout,
// all of them when a stop can wait no longer.
//
// Requests come by the ten thousand a second, and nearly all are answered long
// before. So those that begin to wait at about the same time share a channel
// and a timer.
type patience struct {
	timeout time.Duration

	mu    sync.Mutex
	last  *limit
	lives map[*limit]struct{}
	gone  bool
}

// limit is a moment at which waits end.
type limit struct {
	at      time.Time
	reached chan struct{} // closed then
	timer   *time.Timer
}

// A wait may end early by this part of the timeout.
const patienceSteps = 64

func newPatience(timeout time.Duration) *patience {
	return &patience{timeout: timeout, lives: make(map[*limit]struct{})}
}

// ends is closed when a wait that begins now has taken long enough.
func (p *patience) ends() <-chan struct{} {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.last; l != nil && now.Add(p.timeout).Sub(l.at) <= p.timeout/patienceSteps {
		return l.reached
	}
	l := &limit{at: now.Add(p.timeout), reached: make(chan struct{})}
	p.last = l
	if p.gone {
		close(l.reached)
		return l.reached
	}
	p.lives[l] = struct{}{}
	l.timer = time.AfterFunc(p.timeout, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reach(l)
	})
	return l.reached
}

// reach ends the waits of l, once.
func (p *patience) reach(l *limit) {
	if _, ok := p.lives[l]; ok {
		delete(p.lives, l)
		close(l.reached)
	}
}

// end ends all waits, and those that begin later at once.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone, p.last = true, nil
	for l := range p.lives {
		l.timer.Stop()
		p.reach(l)
	}
}
