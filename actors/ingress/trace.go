package ingress

import (
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// Tracer takes spans that have ended. It does not block.
type Tracer interface {
	Ended(*piccolo.Span)
}

// traces follows the requests of which somebody wants to see a trace into the
// flushes that carry their increments. Nil follows none.
type traces struct {
	tracer Tracer
	// counting is held for reading from before a request is counted until its
	// batches know of it, so that a flush that takes it finds all that was
	// counted into the batch it has just sealed.
	counting sync.RWMutex
	mu       sync.Mutex // guards the callers of every batch
}

func newTraces(t Tracer) *traces {
	if t == nil {
		return nil
	}
	return &traces{tracer: t}
}

// callers are the requests in a batch that are traced.
type callers struct {
	known   []piccolo.SpanContext
	unknown int // how many more there are
}

const traceparentHeader = "Traceparent"

// traced is a request that is being counted. The zero value is not traced.
type traced struct {
	traces *traces
	caller piccolo.SpanContext
}

// begin looks whether a request that is about to be counted is traced. counted
// must follow.
func (t *traces) begin(ctx *fasthttp.RequestCtx) traced {
	if t == nil {
		return traced{}
	}
	caller, ok := piccolo.ParseTraceparent(ctx.Request.Header.Peek(traceparentHeader))
	if !ok || !caller.Sampled {
		return traced{}
	}
	t.counting.RLock()
	return traced{t, caller}
}

// counted tells the batches that carry the request of it.
func (r traced) counted(batches ...*pending) {
	if r.traces == nil {
		return
	}
	defer r.traces.counting.RUnlock()
	r.traces.mu.Lock()
	defer r.traces.mu.Unlock()
	for _, p := range batches {
		switch {
		case p == nil: // nothing was counted
		case len(p.callers.known) < piccolo.MaxLinks:
			p.callers.known = append(p.callers.known, r.caller)
		default:
			p.callers.unknown++
		}
	}
}

// flush begins the span of a flush whose batch has been sealed just now; nil
// where none of its requests is traced.
func (t *traces) flush(p *pending, b *piccolo.Batch, size int) *piccolo.Span {
	if t == nil {
		return nil
	}
	t.counting.Lock()
	callers := p.callers
	t.counting.Unlock()
	if len(callers.known) == 0 {
		return nil
	}
	s := piccolo.NewSpan("flush", callers.known, callers.unknown, time.Now())
	s.Attributes = []piccolo.Attribute{
		{Key: "piccolo.batch", Value: b.BatchID.String()},
		{Key: "piccolo.keys", Value: int64(b.Keys())},
		{Key: "piccolo.increments", Value: int64(b.Increments)},
		{Key: "piccolo.bytes", Value: int64(size)},
		{Key: "piccolo.gathered_us", Value: time.Since(b.Accepted).Microseconds()},
	}
	return s
}

// ended ends a span of flush, with what went wrong, if anything did.
func (t *traces) ended(s *piccolo.Span, wrong string) {
	if s == nil {
		return
	}
	s.End, s.Err = time.Now(), wrong
	t.tracer.Ended(s)
}
