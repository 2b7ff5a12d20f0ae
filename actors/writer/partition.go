package writer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// partition is what the writer knows of one partition it owns.
type partition struct {
	number   int
	divided  bool // see divide
	position piccolo.Position
	stop     func()              // ends the subscription; nil while there is none
	failed   chan error          // holds why the subscription ended by itself
	seen     piccolo.StreamState // the last that fitted
	misfit   string              // why the last did not, until that is repaired
	silent   time.Time           // since when the stream has left questions unanswered; zero if it answers

	trimmed uint64  // up to where
	floors  []floor // reached, and still to be retained
	gap     gap
	until   uint64 // while draining: the StreamSeq to get to
}

// attach subscribes to a partition. A stream that was rolled back or made anew
// since the ledger was written is noticed here: its numbers start again below
// what the ledger has seen, and a durable consumer beyond its end would wait
// for ever.
func (w *Writer) attach(p *partition) error {
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	if err := w.subscribe(ctx, p); err != nil {
		return err
	}
	state, err := w.Stream.State(ctx, p.number)
	if err != nil {
		return err
	}
	w.inspect(state)
	if err := w.gone(ctx, p, state); err != nil {
		return err
	}
	reason, err := w.misfit(ctx, p, state)
	switch {
	case err != nil:
		return fmt.Errorf("cannot tell whether stream and database fit: %w", err)
	case reason != "":
		return w.repair(ctx, p, state, reason)
	}
	p.saw(state)
	w.retained(ctx, p, state)
	return nil
}

// inspect reports what the server lost of the stream by itself, once. It says so
// for as long as it runs, and starts again from 0.
func (w *Writer) inspect(s piccolo.StreamState) {
	if s.Damaged > w.damaged {
		w.Log.Error("the NATS server could not read a part of the stream and cut it off: batches that were stored and not folded yet may be lost; is the disk in order?",
			"bytes", s.Damaged-w.damaged, "streamEnds", s.LastSeq)
		w.Observer.Damaged(s.Damaged - w.damaged)
	}
	w.damaged = s.Damaged
}

func (w *Writer) subscribe(ctx context.Context, p *partition) error {
	over, end := context.WithCancel(w.ctx)
	deliver := func(d piccolo.Delivery) {
		select {
		case w.in <- d: // late ones too, while there is room
			return
		default:
		}
		select {
		case w.in <- d:
		case <-over.Done():
		}
	}
	failed := func(err error) {
		select {
		case p.failed <- err:
		default: // the first reason is enough
		}
	}
	stop, err := w.Stream.Subscribe(ctx, p.number, deliver, failed)
	if err != nil {
		end()
		return err
	}
	p.stop = func() {
		end() // or who delivers would wait for who stops
		stop()
	}
	w.subscribed.Add(1)
	return nil
}

// saw keeps what the stream was like when it fitted. One that never held
// anything is as good as another.
func (p *partition) saw(s piccolo.StreamState) {
	if s.LastSeq > 0 {
		p.seen = s
	}
}

// misfit says how the stream is not the one that the position is in, or "". What
// it has found it finds until that is repaired: the stream grows on, and may
// come to look as if it fitted.
func (w *Writer) misfit(ctx context.Context, p *partition, s piccolo.StreamState) (reason string, err error) {
	if p.misfit == "" {
		p.misfit, err = w.compare(ctx, p, s)
	}
	return p.misfit, err
}

func (w *Writer) compare(ctx context.Context, p *partition, s piccolo.StreamState) (reason string, err error) {
	for _, before := range []time.Time{p.position.Created, p.seen.Created} {
		if !before.IsZero() && !sameTime(s.Created, before) {
			return fmt.Sprintf("the stream was created at %s, the one before at %s",
				s.Created.Format(time.RFC3339), before.Format(time.RFC3339)), nil
		}
	}
	switch {
	case s.LastSeq < p.position.StreamSeq:
		return fmt.Sprintf("the stream ends at %d, and %d has been folded", s.LastSeq, p.position.StreamSeq), nil
	case s.LastSeq < p.seen.LastSeq:
		return fmt.Sprintf("the stream ends at %d, and went up to %d", s.LastSeq, p.seen.LastSeq), nil
	case s.LastSeq < s.AckFloor:
		return fmt.Sprintf("the stream ends at %d, and %d has been acked", s.LastSeq, s.AckFloor), nil
	case s.FirstSeq <= s.AckFloor && p.position.StreamSeq < s.AckFloor:
		// The ack floor passes messages of other partitions too, so that only
		// a message of this one proves anything.
		acked, err := w.Stream.Next(ctx, p.number, p.position.StreamSeq+1)
		if err != nil || acked == 0 || acked > s.AckFloor {
			return "", err
		}
		return fmt.Sprintf("the database is new or was restored: %d has been acked, and only up to %d is in it",
			acked, p.position.StreamSeq), nil
	}
	return "", nil
}

// sameTime compares to the microsecond, which is what the database keeps.
func sameTime(a, b time.Time) bool { return a.UnixMicro() == b.UnixMicro() }

// repair goes on where stream and database do not fit: everything that the
// stream holds is read again, and the ledger skips what it has.
func (w *Writer) repair(ctx context.Context, p *partition, s piccolo.StreamState, reason string) error {
	w.Log.Error("stream and database do not fit, reading again all that the stream holds",
		"partition", p.number, "reason", reason, "held", s.Messages)
	w.unsubscribe(p)
	if err := w.Stream.Rewind(ctx, p.number); err != nil {
		return err
	}
	w.Observer.Rewound()
	p.trimmed, p.floors = 0, nil
	if err := w.start(ctx, p, s); err != nil {
		return err
	}
	p.seen, p.misfit = s, ""
	return w.subscribe(ctx, p) // whether they fit now is looked at in a second
}

// start takes a partition's position to where the stream begins for it: right
// before its first message, or where it has none, to the end. What came before that
// has been folded and trimmed, or is gone; a position at the first message of any
// partition would have it look as if nobody had folded it.
func (w *Writer) start(ctx context.Context, p *partition, s piccolo.StreamState) error {
	first, err := w.Stream.Next(ctx, p.number, s.FirstSeq)
	if err != nil {
		return err
	}
	p.position = piccolo.Position{Created: s.Created, StreamSeq: max(s.FirstSeq, 1) - 1}
	if first > 0 {
		p.position.StreamSeq = first - 1
	} else {
		// The end is only known while nothing moves: of numbers that a roll back
		// has given out again nothing may be said.
		now, err := w.Stream.State(ctx, p.number)
		if err != nil {
			return err
		}
		if now.LastSeq == s.LastSeq && sameTime(now.Created, s.Created) {
			p.position.StreamSeq = s.LastSeq
		}
	}
	_, err = w.Store.Commit(ctx, &piccolo.Fold{Positions: map[int]piccolo.Position{p.number: p.position}})
	switch {
	case errors.Is(err, piccolo.ErrNoRoom), errors.Is(err, piccolo.ErrLocked):
		w.Log.Warn("the position is written with the next commit", "partition", p.number, "error", err)
	case err != nil:
		return databaseError{err}
	}
	return nil
}

// databaseError ends the writer. An error of the stream is waited out.
type databaseError struct{ error }

func (e databaseError) Unwrap() error { return e.error }

// waitOut leaves a partition to be subscribed to later after an error of the
// stream, and returns any other. That the partition is another's is final.
func (w *Writer) waitOut(p *partition, err error) error {
	if errors.As(err, new(databaseError)) || final(err) {
		return err
	}
	if err != nil {
		w.Log.Error("cannot subscribe, trying again", "partition", p.number, "error", err)
		w.unsubscribe(p)
	}
	return w.heard(p, err)
}

// heard takes the outcome of a question to the stream, and returns an error once
// there has been no answer for too long. An answer that says no is one.
func (w *Writer) heard(p *partition, err error) error {
	switch {
	case !errors.Is(err, context.DeadlineExceeded):
		p.silent = time.Time{}
	case p.silent.IsZero():
		p.silent = time.Now()
	case w.Silence > 0 && time.Since(p.silent) >= w.Silence:
		return fmt.Errorf("the NATS server has not answered for %s, a start may bring it round (is the disk in order?): %w", w.Silence, err)
	}
	return nil
}

func final(err error) bool {
	return errors.Is(err, piccolo.ErrFenced) || errors.Is(err, piccolo.ErrOwned)
}

func (w *Writer) unsubscribe(p *partition) {
	if p.stop != nil {
		p.stop()
		p.stop = nil
		w.subscribed.Add(-1)
	}
	select {
	case <-p.failed:
	default:
	}
}

func (w *Writer) detach() {
	for _, p := range w.owned {
		w.unsubscribe(p)
	}
}

// tend looks after the partitions once a second: it subscribes again where a
// subscription ended, notices a stream that lost something, and trims.
func (w *Writer) tend() error {
	for _, p := range w.owned {
		if err := w.tendOne(p); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) tendOne(p *partition) error {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	select {
	case err := <-p.failed:
		w.Log.Error("the subscription ended, subscribing again", "partition", p.number, "error", err)
		w.unsubscribe(p)
	default:
	}
	if p.stop == nil {
		if w.Provision != nil {
			if err := w.Provision(ctx); err != nil {
				w.Log.Error("the stream cannot be made, trying again", "error", err)
				return w.heard(p, err)
			}
		}
		return w.waitOut(p, w.attach(p))
	}
	state, err := w.Stream.State(ctx, p.number)
	if final(err) {
		return err
	}
	if err != nil {
		w.Log.Warn("the stream's state cannot be read", "partition", p.number, "error", err)
		w.unsubscribe(p) // and see next time whether it can be had again
		return w.heard(p, err)
	}
	p.silent = time.Time{}
	w.inspect(state)
	if err := w.gone(ctx, p, state); err != nil {
		return err
	}
	reason, err := w.misfit(ctx, p, state)
	switch {
	case err != nil:
		w.Log.Warn("cannot tell whether stream and database fit", "partition", p.number, "error", err)
		return nil // and nothing is trimmed
	case reason != "":
		return w.waitOut(p, w.repair(ctx, p, state, reason))
	}
	p.saw(state)
	if w.lost(ctx, p, state) {
		return nil
	}
	w.trim(ctx, p, state.AckFloor)
	return nil
}
