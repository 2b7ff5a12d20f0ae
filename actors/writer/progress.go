package writer

import "github.com/piccolo-counter/piccolo"

// Progress tells how far the writer has come: its steps are transactions that
// were committed, or that the database has no room or no turn for. Work waits
// where messages have come from the stream and are not committed.
func (w *Writer) Progress() piccolo.Progress {
	return piccolo.Progress{Steps: w.steps.Load(), Waiting: w.held.Load() > 0 || len(w.in) > 0}
}
