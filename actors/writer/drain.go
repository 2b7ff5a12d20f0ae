package writer

import (
	"context"
	"time"
)

// drain folds what the stream holds at this moment, within DrainTimeout. What
// comes later, or is left, stays in the stream for the next start.
func (w *Writer) drain() error {
	ctx, cancel := context.WithTimeout(w.ctx, w.DrainTimeout)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case d := <-w.in:
			if err := w.foldFrom(d); err != nil {
				return err
			}
		case <-poll.C:
			if w.drained(ctx) {
				return nil
			}
		case <-ctx.Done():
			w.Log.Warn("stopped before everything was folded, the stream keeps the rest", "after", w.DrainTimeout)
			return nil
		}
	}
}

// drained says whether what the stream held when draining began is folded,
// and trims it if so.
func (w *Writer) drained(ctx context.Context) bool {
	for _, p := range w.owned {
		if p.stop == nil {
			continue // no stream, nothing to wait for
		}
		state, err := w.Stream.State(ctx, p.number)
		if err != nil {
			return false // it may be back within the time
		}
		if p.until == 0 {
			p.until = state.LastSeq
		}
		if state.AckFloor < p.until && (state.Pending > 0 || state.AckPending > 0) {
			return false
		}
		reason, err := w.misfit(ctx, p, state)
		switch {
		case err != nil || reason != "":
			w.Log.Warn("not trimmed, the next start looks into it", "partition", p.number, "reason", reason, "error", err)
		case w.Retain == 0 && w.missing(p) == 0:
			w.trim(ctx, p, state.AckFloor)
		}
	}
	return true
}
