package sim_test

import (
	"cmp"
	"context"
	"runtime"
	"strings"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// label says what something that the service did is, so that things done at
// the same moment have an order.
type label struct {
	at      time.Time
	process int
	what    string
	a, b    uint64
	text    string
}

func (l label) compare(o label) int {
	return cmp.Or(l.at.Compare(o.at), cmp.Compare(l.process, o.process), strings.Compare(l.what, o.what),
		cmp.Compare(l.a, o.a), cmp.Compare(l.b, o.b), strings.Compare(l.text, o.text))
}

// event is something that the service did without waiting for an answer. The
// driver does what follows from it.
type event struct {
	label
	do func()
}

// call is something that the service asked and waits for.
type call struct {
	label
	process *process
	reply   chan answer
	gone    bool // nobody waits any more
	prompt  bool // to be answered before anything else happens

	publish *publish // one of them is not nil
	writer  *asked
}

// answer is what a call returns.
type answer struct {
	err    error
	folded piccolo.Folded
	state  piccolo.StreamState
	seq    uint64
	stored time.Time
	stop   func()
	die    bool // the process is no more
}

// process is a process of the service, as far as it can die.
type process struct {
	n    int
	name string
	dead bool
	fuse int // dies at the fuse-th thing it does from now on; 0 for not

	buried func() // what the world does when it has died
}

// ask has the driver answer c. It does not return in a process that died.
func (w *world) ask(ctx context.Context, c *call) answer {
	if err := w.place(ctx, c); err != nil {
		return answer{err: err}
	}
	select {
	case a := <-c.reply:
		if a.die {
			runtime.Goexit()
		}
		return a
	case <-ctx.Done():
		w.mu.Lock()
		defer w.mu.Unlock()
		c.gone = true
		c.process.exist()
		return answer{err: ctx.Err()}
	}
}

func (w *world) place(ctx context.Context, c *call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.process.exist()
	if err := ctx.Err(); err != nil {
		return err
	}
	c.process.burn(w)
	c.at, c.label.process = time.Now(), c.process.n
	c.reply = make(chan answer, 1)
	w.arrived = append(w.arrived, c)
	return nil
}

// tell has the driver do what follows from something that a process did. The
// lock is held.
func (w *world) tell(p *process, what string, a, b uint64, text string, do func()) {
	w.inbox = append(w.inbox, event{label{time.Now(), p.n, what, a, b, text}, do})
}

// exist ends the goroutine if its process is dead: a process that was killed
// does nothing any more, but its goroutines have to end. The lock is held, and
// a deferred call unlocks it.
func (p *process) exist() {
	if p.dead {
		runtime.Goexit()
	}
}

// burn brings the process nearer to its end, if that is set.
func (p *process) burn(w *world) {
	if p.fuse == 0 {
		return
	}
	if p.fuse--; p.fuse == 0 {
		p.dead = true
		w.tell(p, "dies", 0, 0, "", func() { w.logf("%s dies here", p.name); p.buried() })
		runtime.Goexit()
	}
}
