package writer

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// changes is a log of which keys have changed, for watchers, who ask for what
// came after the last that they have seen. A key stands in it once, where it
// changed last; its total is read when somebody asks. So a watcher who is slow
// gets fewer totals, and never old ones; he is not waited for, and nothing is
// kept for him.
//
// Nothing is recorded before the first watcher asks, and after the last has not
// asked for a while: all that a commit does then is to look whether it shall.
// While it shall, it leaves its deltas here and goes on. They are put into the
// log by a goroutine of its own.
type changes struct {
	watched atomic.Bool

	left struct { // by commits, for the goroutine
		sync.Mutex
		deltas [][]piccolo.Delta
		count  int
		lost   bool // there were too many
		some   chan struct{}
	}

	mu      sync.Mutex
	log     string // its name; a position in another means nothing here
	last    uint64 // the number of the last change
	from    uint64 // what changed up to this number is not all here any more
	keys    map[string]*change
	ends    change        // of the list: its next is the oldest, its previous the newest
	more    chan struct{} // closed, and made anew, when there are
	asked   time.Time     // for the last time
	waiting int
}

// change is a key in the list of changes.
type change struct {
	key            string
	number         uint64
	previous, next *change
}

const (
	maxChanges  = 1 << 18         // keys in the log
	maxLeft     = 1 << 20         // deltas that wait to be put there
	watchedFor  = 2 * time.Minute // after somebody asked: long enough to come back
	maxAnswer   = piccolo.MaxPage // keys of an answer
	answerBytes = 128 << 10       // of those keys, for the answer to fit into a message
)

// committed is told of what a commit changed.
func (c *changes) committed(deltas []piccolo.Delta) {
	if !c.watched.Load() || len(deltas) == 0 {
		return
	}
	c.left.Lock()
	defer c.left.Unlock()
	if c.left.count += len(deltas); c.left.count > maxLeft {
		c.left.deltas, c.left.lost = nil, true
	} else {
		c.left.deltas = append(c.left.deltas, deltas)
	}
	select {
	case c.left.some <- struct{}{}:
	default:
	}
}

// news are the keys that have changed.
type news struct {
	log   string
	upto  uint64
	keys  []string
	more  bool
	reset bool
}

func (n *news) cursor() string { return piccolo.Cursors{n.log: n.upto}.String() }

// next waits until there is news for a watcher, or its time is over. ctx is
// that of the question, life that of the writer.
func (c *changes) next(ctx, life context.Context, q *piccolo.Changes, since piccolo.Cursors) news {
	timer := time.NewTimer(time.Duration(q.WaitMS) * time.Millisecond)
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch(life)
	log := c.log
	seen, known := since[log]
	for {
		if !known || c.log != log || seen < c.from || seen > c.last {
			return news{log: c.log, upto: c.last, reset: true}
		}
		n := c.collect(q, seen)
		if len(n.keys) > 0 {
			return n
		}
		seen = n.upto
		more, over := c.more, false
		c.waiting++
		c.mu.Unlock()
		select {
		case <-more:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			over = true
		case <-life.Done():
			over = true
		}
		c.mu.Lock()
		c.waiting--
		c.asked = time.Now()
		if over {
			return n
		}
	}
}

// collect finds what has changed after a number.
func (c *changes) collect(q *piccolo.Changes, seen uint64) news {
	n := news{log: c.log, upto: seen}
	if len(q.Keys) > 0 {
		for _, key := range q.Keys {
			if e := c.keys[key]; e != nil && e.number > seen {
				n.keys = append(n.keys, key)
			}
		}
		n.upto = c.last
		return n
	}
	e := &c.ends
	for e.previous != &c.ends && e.previous.number > seen {
		e = e.previous
	}
	bytes := 0
	for ; e != &c.ends; e = e.next {
		if strings.HasPrefix(e.key, q.Prefix) {
			if bytes += len(e.key); len(n.keys) == maxAnswer || bytes > answerBytes && len(n.keys) > 0 {
				n.more = true
				return n
			}
			n.keys = append(n.keys, e.key)
		}
		n.upto = e.number
	}
	return n
}

// watch begins to record, where it does not.
func (c *changes) watch(life context.Context) {
	c.asked = time.Now()
	if c.watched.Load() {
		return
	}
	c.clear()
	c.left.Lock()
	c.left.deltas, c.left.count, c.left.lost = nil, 0, false
	c.left.some = make(chan struct{}, 1)
	c.left.Unlock()
	c.watched.Store(true)
	go c.record(life, c.left.some)
}

// clear forgets all changes.
func (c *changes) clear() {
	c.log, c.last, c.from = piccolo.NewProducer(), 0, 0
	c.keys = make(map[string]*change)
	c.ends.previous, c.ends.next = &c.ends, &c.ends
	if c.more != nil {
		close(c.more)
	}
	c.more = make(chan struct{})
}

// record puts what commits leave into the log, as long as it is watched.
func (c *changes) record(life context.Context, some <-chan struct{}) {
	tick := time.NewTicker(watchedFor / 4)
	defer tick.Stop()
	for {
		select {
		case <-some:
			c.takeOver()
		case <-tick.C:
			if c.giveUp() {
				return
			}
		case <-life.Done():
			return
		}
	}
}

func (c *changes) takeOver() {
	c.left.Lock()
	deltas, lost := c.left.deltas, c.left.lost
	c.left.deltas, c.left.count, c.left.lost = nil, 0, false
	c.left.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if lost {
		c.clear()
		return
	}
	for _, of := range deltas {
		for i := range of {
			c.put(of[i].Key)
		}
	}
	close(c.more)
	c.more = make(chan struct{})
}

// put makes a key the newest of the list.
func (c *changes) put(key string) {
	e := c.keys[key]
	switch {
	case e != nil:
		e.previous.next, e.next.previous = e.next, e.previous
	case len(c.keys) == maxChanges:
		e = c.ends.next // the oldest gives way
		e.previous.next, e.next.previous = e.next, e.previous
		c.from = e.number
		delete(c.keys, e.key)
		fallthrough
	default:
		// A delta's key is part of its message, which would be kept with it.
		e = &change{key: strings.Clone(key)}
		c.keys[e.key] = e
	}
	c.last++
	e.number = c.last
	e.previous, e.next = c.ends.previous, &c.ends
	e.previous.next, c.ends.previous = e, e
}

// giveUp ends the recording, where nobody has asked for a while.
func (c *changes) giveUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting > 0 || time.Since(c.asked) < watchedFor {
		return false
	}
	c.watched.Store(false)
	c.clear()
	c.left.Lock()
	c.left.deltas, c.left.count = nil, 0
	c.left.Unlock()
	return true
}
