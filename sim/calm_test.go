package sim_test

import (
	"fmt"
	"time"
)

// patience is how long the service has to come to rest when nothing goes
// wrong any more: longer than the server's AckWait, and than the writer takes
// to be sure that a batch is lost.
const patience = 10 * time.Minute

// calm has nothing go wrong any more, and holds what the service comes to
// against the book.
func (w *world) calm() {
	if w.broken != nil {
		return
	}
	w.logf("nothing goes wrong any more")
	w.quieten()
	w.until(w.unrest)
	if w.broken == nil {
		w.checkRest()
	}
}

// quieten ends all faults.
func (w *world) quieten() {
	w.profile.quieten()
	w.stream.away, w.stream.full = false, false
	w.remake()
	for _, f := range w.writers {
		f.fuse = 0
	}
}

func (p *profile) quieten() {
	p.room = 1 << 20
	p.slowPace = 0
	p.dropRequest, p.duplicateRequest, p.refuse, p.dropPubAck, p.delayPubAck = 0, 0, 0, 0, 0
	p.dropDelivery, p.dropAck, p.dropNotice = 0, 0, 0
	p.slowCalls, p.failCalls, p.failReset = 0, 0, 0
	p.promptCommits, p.commitFails, p.commitKills = 1, 0, 0
}

// until has everything happen that can, and time pass where nothing can, until
// there is no reason to go on.
func (w *world) until(reason func() string) {
	begin, idle := time.Now(), time.Millisecond
	for w.broken == nil {
		if w.carryOn() {
			idle = time.Millisecond
			w.pass(0)
			continue
		}
		why := reason()
		if why == "" {
			return
		}
		if time.Since(begin) > patience {
			w.fail("does not come to rest: %s", why)
			return
		}
		w.pass(idle)
		idle = min(2*idle, time.Second)
	}
}

// carryOn does one thing that is to be done, and returns false where there is
// none.
func (w *world) carryOn() bool {
	for _, do := range []func(*world) bool{
		(*world).arriveOne, (*world).pubAckOne, (*world).answerOne, (*world).ackOne,
		(*world).noticeOne, (*world).deliverOne,
	} {
		if do(w) {
			w.settle()
			return true
		}
	}
	return false
}

// unrest says what is still to be done, and sees to it that there are
// processes to do it.
func (w *world) unrest() string {
	switch len(w.writers) {
	case 0:
		w.startWriter()
		return "a writer has to start"
	case 1:
	default: // the one before may have nothing to commit, and never find out
		if f := w.writers[0]; !f.stopping && f.idle() {
			f.stop()
		}
		return "there are two writers"
	}
	for _, s := range w.slots {
		if s.producer == nil {
			s.start()
			return "an ingress has to start"
		}
		for _, b := range w.book.order {
			if b.id.Producer == s.producer.name && !b.acked {
				return fmt.Sprintf("%s is not stored", b.id)
			}
		}
	}
	if why := w.backlog(w.writers[0]); why != "" {
		return why
	}
	for _, s := range w.slots {
		if n := len(s.spooled()); n > 0 {
			return fmt.Sprintf("%d batches are in spool %d", n, s.n)
		}
	}
	if w.mustRewind && w.rewound == 0 { // it may have been refused until now
		return "nobody has noticed that the stream was made anew"
	}
	return ""
}

// backlog says what the writer has still to do.
func (w *world) backlog(f *folder) string {
	for n, c := range w.stream.consumers {
		if c == nil {
			return fmt.Sprintf("nobody reads partition %d", n)
		}
		if len(c.unacked) > 0 || w.stream.next(n, c.next) != nil {
			return fmt.Sprintf("partition %d has a backlog", n)
		}
	}
	for _, m := range w.stream.messages {
		if !w.db.kept(m) {
			return fmt.Sprintf("%s is not folded", m.id)
		}
		if w.retain == 0 {
			return fmt.Sprintf("%s is not trimmed", m.id)
		}
	}
	return f.unreported()
}

// endAll stops all processes, or, where something was not as it must be, puts
// an end to them.
func (w *world) endAll() {
	if w.broken == nil {
		for _, s := range w.slots {
			if p := s.producer; p != nil && !p.stopping {
				p.stop()
			}
		}
		w.until(func() string {
			for _, s := range w.slots {
				if s.producer != nil {
					return s.producer.name + " has not stopped"
				}
			}
			return ""
		})
		for _, f := range w.writers {
			f.stop()
		}
		w.until(func() string {
			for _, f := range w.writers {
				return f.name + " has not stopped"
			}
			return ""
		})
	}
	for _, s := range w.slots {
		if s.producer != nil {
			s.producer.kill()
		}
	}
	for len(w.writers) > 0 {
		w.writers[0].kill()
	}
}
