package ingress_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// collector is a Tracer that keeps spans, by the batch of their flush.
type collector struct {
	mu    sync.Mutex
	spans map[string]*piccolo.Span
	ended sync.Cond
}

func newCollector() *collector {
	c := &collector{spans: make(map[string]*piccolo.Span)}
	c.ended.L = &c.mu
	return c
}

func (c *collector) Ended(s *piccolo.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans[s.Attributes[0].Value.(string)] = s
	c.ended.Broadcast()
}

// flush waits for the span of a batch's flush.
func (c *collector) flush(batch string) *piccolo.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.spans[batch] == nil {
		c.ended.Wait()
	}
	return c.spans[batch]
}

// traced is an ingress with a collector, and what each message says of its flush.
func traced(t *testing.T) (*door, *collector, func(id string) piccolo.SpanContext) {
	c := newCollector()
	d := open(t, func(config *ingress.Config) { config.Tracer = c })
	var mu sync.Mutex
	said := make(map[string]piccolo.SpanContext)
	d.stream.answers(func(_ context.Context, m *piccolo.Message) error {
		mu.Lock()
		defer mu.Unlock()
		said[m.ID.String()] = m.Trace
		return nil
	})
	return d, c, func(id string) piccolo.SpanContext {
		mu.Lock()
		defer mu.Unlock()
		return said[id]
	}
}

func caller(n int, flags string) (header string, c piccolo.SpanContext) {
	header = fmt.Sprintf("00-%032x-%016x-%s", n, n, flags)
	c, _ = piccolo.ParseTraceparent(header)
	return header, c
}

// Whatever changes numbers is followed into its flush, and from there into the
// message.
func TestFlushLinksToTheRequestsItCarries(t *testing.T) {
	d, c, said := traced(t)
	for i, r := range []request{
		{contentType: form, body: "key=foo&value=10"},
		{contentType: form, body: "key=foo&value=10", header: http.Header{"Idempotency-Key": {"trace-one"}}},
		{target: "/v1/increments", contentType: "application/json", body: `[{"key":"a","value":1},{"key":"b","value":2}]`},
		{target: "/v1/increments", contentType: "application/json", body: `[{"key":"a","value":1}]`, header: http.Header{"Idempotency-Key": {"trace-two"}}},
		{method: http.MethodPut, target: "/v1/numbers/foo?value=10"},
		{method: http.MethodDelete, target: "/v1/numbers/foo"},
	} {
		header, want := caller(i+1, "01")
		if r.header == nil {
			r.header = http.Header{}
		}
		r.header.Set("traceparent", header)
		res := d.send(r)
		if res.status != http.StatusOK {
			t.Fatalf("%+v: %d %s", r, res.status, res.body)
		}
		receipt := res.header.Get("Piccolo-Receipt")
		s := c.flush(receipt)
		if s.Name != "flush" || s.Trace != want.Trace || s.Parent != want || !slices.Equal(s.Links, []piccolo.SpanContext{want}) || s.Err != "" {
			t.Errorf("%+v: %+v, want a span that goes on with %s", r, s, want)
		}
		if s.Start.After(s.End) {
			t.Errorf("it ends at %s and starts at %s", s.End, s.Start)
		}
		if got := said(receipt); got != s.SpanContext || !got.Sampled {
			t.Errorf("the message says %s, the span is %s", got, s.SpanContext)
		}
	}
}

// Nobody asked to see these.
func TestFlushOfRequestsThatAreNotTraced(t *testing.T) {
	d, c, said := traced(t)
	unsampled, _ := caller(1, "00")
	for _, header := range []string{"", unsampled, "rubbish"} {
		r := request{contentType: form, body: "key=foo&value=10", header: http.Header{"Traceparent": {header}}}
		receipt := d.send(r).header.Get("Piccolo-Receipt")
		if got := said(receipt); got != (piccolo.SpanContext{}) {
			t.Errorf("traceparent %q: the message says %s", header, got)
		}
	}
	_ = d.stop()
	if len(c.spans) != 0 {
		t.Errorf("%d spans", len(c.spans))
	}
}

// A refused request leads to nothing, and does not hold anything up.
func TestRefusedRequestIsNotLinked(t *testing.T) {
	d, c, _ := traced(t)
	header, _ := caller(1, "01")
	d.refused(d.send(request{contentType: form, body: "key=foo&value=x", header: http.Header{"Traceparent": {header}}}), 400)
	_ = d.stop()
	if len(c.spans) != 0 {
		t.Errorf("%d spans", len(c.spans))
	}
}

// However many are counted while batches are sealed, each is linked from the
// batch that carries it, or counted where there are too many.
func TestEveryTracedRequestIsInTheSpanOfItsBatch(t *testing.T) {
	const clients, each = 32, 40
	d, c, _ := traced(t)
	var mu sync.Mutex
	carried := make(map[string][]piccolo.SpanContext)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for j := range each {
				header, want := caller(1+i*each+j, "01")
				r, err := d.try(request{contentType: form, body: fmt.Sprintf("value=1&key=%d", j), header: http.Header{"Traceparent": {header}}})
				if err != nil || r.status != http.StatusOK {
					t.Errorf("%d, %v", r.status, err)
					return
				}
				mu.Lock()
				receipt := r.header.Get("Piccolo-Receipt")
				carried[receipt] = append(carried[receipt], want)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for batch, callers := range carried {
		s := c.flush(batch)
		if got := len(s.Links) + s.Unlinked; got != len(callers) {
			t.Errorf("batch %s links to %d requests and carries %d", batch, got, len(callers))
		}
		if want := min(len(callers), piccolo.MaxLinks); len(s.Links) != want {
			t.Errorf("batch %s has %d links, want %d", batch, len(s.Links), want)
		}
		for _, l := range s.Links {
			if !slices.Contains(callers, l) {
				t.Errorf("batch %s links to %s, which it does not carry", batch, l)
			}
		}
	}
}
