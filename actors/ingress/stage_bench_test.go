package ingress

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/internal/guard"
)

// hotKeys are known to a reducer before anything is measured.
const hotKeys = 1000

// hot is an ingress that nothing is flushed from, and requests for keys it
// knows.
type hot struct {
	in       *Ingress
	requests []*fasthttp.RequestCtx
	readers  []*bytes.Reader // of their bodies
	bodies   [][]byte
	keys     [][]byte
}

func newHot(tb testing.TB) *hot {
	tb.Helper()
	in, err := New(Config{
		Producer: "0123456789abcdef", Partitions: 1, MaxMessage: 8 << 20, Log: slog.New(slog.DiscardHandler),
		Ack: piccolo.AckStored, AckTimeout: time.Minute, FlushInterval: time.Minute, MaxKeys: 2 * hotKeys, MaxBody: 1 << 20, MaxKeyBytes: 512,
	})
	if err != nil {
		tb.Fatal(err)
	}
	h := &hot{in: in}
	for i := range hotKeys {
		key := fmt.Sprintf("key-%08d-xxxx", i)
		body := fmt.Sprintf("key=%s&value=%d", key, i-hotKeys/2)
		h.keys, h.bodies = append(h.keys, []byte(key)), append(h.bodies, []byte(body))
		ctx := new(fasthttp.RequestCtx)
		ctx.Init2(&conn{heard: true}, nil, false)
		r := &ctx.Request
		r.Header.SetMethod(fasthttp.MethodPost)
		r.SetRequestURI("/increment")
		r.Header.SetContentType("application/x-www-form-urlencoded")
		r.Header.Set(ackHeader, "memory")
		h.requests, h.readers = append(h.requests, ctx), append(h.readers, new(bytes.Reader))
	}
	for i := range hotKeys {
		h.request(i)
		if status := h.requests[i].Response.StatusCode(); status != 202 {
			tb.Fatalf("a request for %s: %d %s", h.keys[i], status, h.requests[i].Response.Body())
		}
	}
	return h
}

// decode is the first stage: from a body to a key and a value.
func (h *hot) decode(i int) {
	var p pair
	if problem := p.parseForm(h.bodies[i%hotKeys], false); problem != nil {
		panic(problem)
	}
	if _, problem := p.increment(512); problem != nil {
		panic(problem)
	}
}

// reduce is the second: from there to a delta.
func (h *hot) reduce(i int) {
	if _, err := h.in.Count(h.keys[i%hotKeys], 1, piccolo.AckMemory); err != nil {
		panic(err)
	}
}

// metrics is all that is counted and timed of a request, as part of it.
func (h *hot) metrics(int) {
	h.in.replies.acked(piccolo.AckMemory, h.in.replies.begun())
}

// request is all that happens between fasthttp's reading and writing.
func (h *hot) request(i int) {
	ctx, body := h.requests[i%hotKeys], h.bodies[i%hotKeys]
	h.readers[i%hotKeys].Reset(body)
	ctx.Request.SetBodyStream(h.readers[i%hotKeys], len(body))
	ctx.Response.Reset()
	h.in.handle(ctx)
}

func (h *hot) stages() map[string]func(int) {
	return map[string]func(int){"decode": h.decode, "reduce": h.reduce, "metrics": h.metrics, "request": h.request}
}

func BenchmarkStage(b *testing.B) {
	for name, stage := range newHot(b).stages() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				stage(i)
				i++
			}
		})
	}
}

// raceDetector says whether this is go test -race.
var raceDetector bool

// A known key costs no allocation, from the body to the reply.
func TestHotPathAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a sync.Pool forgets at random")
	}
	h := newHot(t)
	for name, stage := range h.stages() {
		i := 0
		if n := testing.AllocsPerRun(1000, func() { stage(i); i++ }); n > 0 {
			t.Errorf("%s: %.0f allocations", name, n)
		}
	}
}

// The limits are 1.5 times the most that was measured, and more: how a stage
// compares with the loop differs by a fifth from one moment to the next, and more
// between processors. Whatever doubles the cost of decode is found.
func TestGuardStages(t *testing.T) {
	h := newHot(t)
	for name, limit := range map[string]float64{"decode": 10, "reduce": 10, "request": 60} {
		t.Run(name, func(t *testing.T) {
			stage := h.stages()[name]
			guard.Check(t, limit, func(n int) {
				for i := range n {
					stage(i)
				}
			})
		})
	}
}
