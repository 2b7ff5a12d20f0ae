package writer

import "sync/atomic"

// passed counts what goes on around the commits, of which the Observer is told.
type passed struct {
	fetched, acked, trims atomic.Uint64
}

// Fetched is how many messages were taken up, with those that came again.
func (w *Writer) Fetched() uint64 { return w.passed.fetched.Load() }

// Acked is how many messages were acked.
func (w *Writer) Acked() uint64 { return w.passed.acked.Load() }

// Trims is how often committed batches were removed from the stream.
func (w *Writer) Trims() uint64 { return w.passed.trims.Load() }
