package sim_test

import (
	"context"
	"slices"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// asked is what a writer's loop asks of the stream and the database.
type asked struct {
	f         *folder
	kind      askKind
	partition int
	seq       uint64
	deliver   func(piccolo.Delivery)
	failed    func(error)
	fold      *piccolo.Fold
	outcome   outcome // of a commit, drawn when it is asked for
}

type askKind string

const (
	askSubscribe askKind = "subscribe"
	askState     askKind = "state"
	askNext      askKind = "next"
	askStored    askKind = "stored"
	askRewind    askKind = "rewind"
	askTrim      askKind = "trim"
	askProvision askKind = "provision"
	askCommit    askKind = "commit"
)

// repairs says whether a commit moves a position, and folds nothing.
func (a *asked) repairs() bool { return a.fold.Accounts == nil }

func (f *folder) ask(ctx context.Context, a asked) answer {
	a.f = f
	return f.w.ask(ctx, &call{
		label:   label{what: string(a.kind), a: uint64(a.partition), b: a.seq},
		process: &f.process, writer: &a,
	})
}

// streamClient is the stream as a writer sees it.
type streamClient struct{ f *folder }

func (s streamClient) Subscribe(ctx context.Context, partition int, deliver func(piccolo.Delivery), failed func(error)) (stop func(), err error) {
	a := s.f.ask(ctx, asked{kind: askSubscribe, partition: partition, deliver: deliver, failed: failed})
	return a.stop, a.err
}

func (s streamClient) State(ctx context.Context, partition int) (piccolo.StreamState, error) {
	a := s.f.ask(ctx, asked{kind: askState, partition: partition})
	return a.state, a.err
}

func (s streamClient) Next(ctx context.Context, partition int, seq uint64) (uint64, error) {
	a := s.f.ask(ctx, asked{kind: askNext, partition: partition, seq: seq})
	return a.seq, a.err
}

func (s streamClient) Stored(ctx context.Context, partition int, seq uint64) (time.Time, error) {
	a := s.f.ask(ctx, asked{kind: askStored, partition: partition, seq: seq})
	return a.stored, a.err
}

func (s streamClient) Rewind(ctx context.Context, partition int) error {
	return s.f.ask(ctx, asked{kind: askRewind, partition: partition}).err
}

func (s streamClient) Trim(ctx context.Context, partition int, upto uint64) error {
	return s.f.ask(ctx, asked{kind: askTrim, partition: partition, seq: upto}).err
}

func (s streamClient) provision(ctx context.Context) error {
	return s.f.ask(ctx, asked{kind: askProvision}).err
}

// Announce sends a notice. Invariant: what it says has been committed.
func (s streamClient) Announce(a *piccolo.Applied) error {
	w := s.f.w
	w.mu.Lock()
	defer w.mu.Unlock()
	s.f.exist()
	notice, err := piccolo.DecodeApplied(piccolo.AppendApplied(nil, a)) // as it travels
	notice.Producer = a.Producer
	w.tell(&s.f.process, "announce", uint64(a.Partition), a.Seqs[0], a.Producer, func() {
		for _, seq := range notice.Seqs {
			id := piccolo.BatchID{Producer: notice.Producer, Partition: notice.Partition, Seq: seq}
			if !w.db.folded(id) {
				w.fail("%s announced %s, which is not committed", s.f.name, id)
			}
		}
		w.net.notices = append(w.net.notices, notice)
	})
	return err
}

// noteCall takes note of a call that has arrived, and may be gone again.
func (w *world) noteCall(c *call) {
	if c.publish != nil {
		w.notePublish(c.publish)
		return
	}
	f := c.writer.f
	if c.writer.kind == askState {
		f.tending = c.writer.partition
	}
	if f.away.IsZero() {
		f.away = c.at
	}
	if f.asked = c; c.gone {
		f.asked = nil
		return
	}
	c.prompt = !w.chance(w.slowCalls)
	f.holding = false
	if c.writer.kind == askCommit {
		if !c.writer.repairs() {
			f.unfolded = 0
		}
		c.writer.outcome = w.drawOutcome()
		c.prompt = w.chance(w.promptCommits) && c.writer.outcome != killedBefore
	}
}

// answerOne answers a call of a writer.
func (w *world) answerOne() bool {
	for _, c := range w.calls {
		if c.writer != nil {
			w.answer(c)
			return true
		}
	}
	return false
}

// answer answers a call of a writer.
func (w *world) answer(c *call) {
	f, a := c.writer.f, c.writer
	f.asked = nil
	if a.kind == askCommit {
		w.commit(c)
		return
	}
	var r answer
	switch {
	case w.stream.away:
		r.err = context.DeadlineExceeded
	case w.chance(w.failCalls):
		r.err = errBroken
		if a.kind != askSubscribe && a.kind != askState && w.chance(0.5) { // it may have been done all the same
			_ = w.do(a)
		}
	default:
		r = w.do(a)
	}
	w.logf("%s %s %d %d: %+v %d %v", f.name, a.kind, a.partition, a.seq, r.state, r.seq, r.err)
	w.reply(c, r)
}

// refuseCall has a call of a writer fail.
func (w *world) refuseCall(c *call, err error) {
	c.writer.f.asked = nil
	w.logf("%s %s %d fails", c.writer.f.name, c.writer.kind, c.writer.partition)
	w.reply(c, answer{err: err})
}

// do does what a writer asks of the stream, the way the bus does.
func (w *world) do(a *asked) (r answer) {
	s := w.stream
	if a.kind == askProvision {
		w.remake()
		return r
	}
	if !s.exists() {
		return answer{err: errNobody}
	}
	c := s.consumers[a.partition]
	switch a.kind {
	case askSubscribe:
		if c == nil {
			c = s.newConsumer(a.partition)
		}
		if len(c.unacked) > 0 {
			// What a database lost that was restored must come again.
			if w.ordered || w.restored || !w.chance(w.failReset) {
				c.reset()
			}
		}
		a.f.stream = s.created
		sub := a.f.subscribe(a.partition, a.deliver, a.failed)
		sub.last, r.stop = c.delivered, sub.stop
	case askState:
		if c == nil {
			return answer{err: errNobody}
		}
		r.state = s.state(a.partition)
		s.unseen[a.partition] = s.unseen[a.partition] && c.next > s.last+1
	case askNext:
		if m := s.next(a.partition, a.seq); m != nil {
			r.seq = m.seq
		}
	case askStored:
		if m := s.next(a.partition, a.seq); m != nil {
			r.stored = m.stored
		}
	case askRewind:
		s.newConsumer(a.partition)
	case askTrim:
		s.trim(a.partition, a.seq)
	}
	return r
}

// killCalls ends the calls of a process that has died.
func (w *world) killCalls(p *process) {
	for _, c := range w.calls {
		if c.process == p {
			c.reply <- answer{die: true}
		}
	}
	w.calls = slices.DeleteFunc(w.calls, func(c *call) bool { return c.process == p })
}
