package writer

import (
	"time"

	"github.com/piccolo-counter/piccolo"
)

// trace tells the tracer of a commit, where a flush that it folded is traced.
func (w *Writer) trace(s *sum, folded piccolo.Folded, start, end time.Time) {
	if w.Tracer == nil {
		return
	}
	var flushes []piccolo.SpanContext
	more := 0
	for _, m := range w.unfolded {
		switch {
		case !m.Trace.Sampled:
		case len(flushes) < piccolo.MaxLinks:
			flushes = append(flushes, m.Trace)
		default:
			more++
		}
	}
	if len(flushes) == 0 {
		return
	}
	span := piccolo.NewSpan("fold", flushes, more, start)
	span.End = end
	span.Attributes = []piccolo.Attribute{
		{Key: "piccolo.batches", Value: int64(len(w.unfolded))},
		{Key: "piccolo.duplicates", Value: int64(s.duplicates)},
		{Key: "piccolo.increments", Value: int64(s.increments)},
		{Key: "piccolo.rows", Value: int64(folded.Rows)},
	}
	w.Tracer.Ended(span)
}
