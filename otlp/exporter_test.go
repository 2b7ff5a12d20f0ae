package otlp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// collector answers the exporter's requests.
type collector struct {
	t      *testing.T
	answer func(*http.Request) (*http.Response, error)

	mu    sync.Mutex
	asked int
	spans []span
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || r.URL.String() != "http://collector:4318/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
		c.t.Errorf("%s %s of %s", r.Method, r.URL, r.Header.Get("Content-Type"))
	}
	var got request
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
		c.t.Error(err)
	}
	c.mu.Lock()
	c.asked++
	c.mu.Unlock()
	if c.answer != nil {
		if res, err := c.answer(r); err != nil || res.StatusCode != http.StatusOK {
			return res, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range got.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			c.spans = append(c.spans, ss.Spans...)
		}
	}
	return says(http.StatusOK), nil
}

func says(status int) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader("it says why"))}
}

// exporting runs test with an exporter, in fake time. stop returns the log.
func exporting(t *testing.T, test func(t *testing.T, e *Exporter, c *collector, stop func() (log string))) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		c := &collector{t: t}
		e := New("http://collector:4318/", Resource{Version: "1.0.0"}, slog.New(slog.NewTextHandler(&log, nil)))
		e.client.Transport = c
		done := make(chan error, 1)
		go func() { done <- e.Execute() }()
		stop := sync.OnceValue(func() string {
			e.Interrupt(nil)
			if err := <-done; err != nil {
				t.Error(err)
			}
			return log.String()
		})
		defer stop()
		test(t, e, c, stop)
	})
}

func newSpan(name string) *piccolo.Span {
	return piccolo.NewSpan(name, []piccolo.SpanContext{{Trace: [16]byte{1}, Span: [8]byte{2}, Sampled: true}}, 3, time.Unix(1, 5))
}

func TestSpanInJSON(t *testing.T) {
	s := newSpan("flush")
	s.Span = [8]byte{0xab}
	s.End = time.Unix(2, 0)
	s.Err = "why"
	s.Attributes = []piccolo.Attribute{{Key: "a", Value: "text"}, {Key: "b", Value: int64(-1) << 63}}
	const want = `{"resourceSpans":[{"resource":{"attributes":[` +
		`{"key":"service.name","value":{"stringValue":"piccolo"}},{"key":"service.version","value":{"stringValue":"v"}},` +
		`{"key":"service.instance.id","value":{"stringValue":"i"}},{"key":"piccolo.role","value":{"stringValue":"writer"}}]},` +
		`"scopeSpans":[{"scope":{"name":"piccolo","version":"v"},"spans":[{"traceId":"01000000000000000000000000000000",` +
		`"spanId":"ab00000000000000","parentSpanId":"0200000000000000","name":"flush","kind":1,` +
		`"startTimeUnixNano":"1000000005","endTimeUnixNano":"2000000000",` +
		`"attributes":[{"key":"a","value":{"stringValue":"text"}},{"key":"b","value":{"intValue":"-9223372036854775808"}}],` +
		`"links":[{"traceId":"01000000000000000000000000000000","spanId":"0200000000000000"}],"droppedLinksCount":3,` +
		`"status":{"code":2,"message":"why"}}]}]}]}`
	if got := string(encode(Resource{Version: "v", Instance: "i", Role: "writer"}, []*piccolo.Span{s})); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestSpansGoTogether(t *testing.T) {
	exporting(t, func(t *testing.T, e *Exporter, c *collector, stop func() string) {
		for range batchSize + 1 {
			e.Ended(newSpan("flush"))
		}
		time.Sleep(gather)
		synctest.Wait()
		if c.asked != 2 || len(c.spans) != batchSize+1 {
			t.Errorf("%d spans in %d requests, want %d in 2", len(c.spans), c.asked, batchSize+1)
		}
	})
}

func TestStopSendsWhatIsLeft(t *testing.T) {
	exporting(t, func(t *testing.T, e *Exporter, c *collector, stop func() string) {
		for range batchSize + 1 {
			e.Ended(newSpan("flush"))
		}
		if log := stop(); log != "" || len(c.spans) != batchSize+1 || e.Dropped() != 0 {
			t.Errorf("%d spans, %d dropped, %s", len(c.spans), e.Dropped(), log)
		}
	})
}

// A collector that is away is told of once, however often it is asked, and once
// when it is back.
func TestCollectorThatIsAway(t *testing.T) {
	refuses := map[string]func(*http.Request) (*http.Response, error){
		"refused": func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"says no": func(*http.Request) (*http.Response, error) { return says(http.StatusServiceUnavailable), nil },
	}
	for name, refuse := range refuses {
		t.Run(name, func(t *testing.T) {
			exporting(t, func(t *testing.T, e *Exporter, c *collector, stop func() string) {
				c.answer = refuse
				for range 5 {
					e.Ended(newSpan("flush"))
					time.Sleep(2 * gather)
				}
				synctest.Wait()
				c.answer = nil
				for range 2 {
					e.Ended(newSpan("flush"))
					time.Sleep(2 * gather)
				}
				log := stop()
				if strings.Count(log, "level=WARN") != 1 || strings.Count(log, "level=INFO") != 1 || strings.Count(log, "\n") != 2 {
					t.Errorf("want a warning, and that it is over:\n%s", log)
				}
				if c.asked != 7 || len(c.spans) != 2 || e.Dropped() != 5 {
					t.Errorf("%d requests brought %d spans, %d dropped; want 7, 2, 5", c.asked, len(c.spans), e.Dropped())
				}
			})
		})
	}
}

// One that never answers holds up neither who makes spans nor a stop.
func TestCollectorThatDoesNotAnswer(t *testing.T) {
	exporting(t, func(t *testing.T, e *Exporter, c *collector, stop func() string) {
		c.answer = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}
		e.Ended(newSpan("flush"))
		time.Sleep(2 * gather)
		synctest.Wait() // the exporter waits for an answer
		for range queueSize + 10 {
			e.Ended(newSpan("flush")) // in a moment of no time
		}
		if e.Dropped() != 10 {
			t.Errorf("%d spans dropped of a queue with room for all but 10", e.Dropped())
		}
		before := time.Now()
		stop()
		if took := time.Since(before); took > farewell {
			t.Errorf("the stop takes %s", took)
		}
		if want := uint64(queueSize + 11); e.Dropped() != want {
			t.Errorf("%d spans dropped, want %d", e.Dropped(), want)
		}
	})
}

func TestURLOfACollector(t *testing.T) {
	for url, want := range map[string]string{
		"http://127.0.0.1:4318":             "http://127.0.0.1:4318/v1/traces",
		"http://127.0.0.1:4318/":            "http://127.0.0.1:4318/v1/traces",
		"https://host/below":                "https://host/below/v1/traces",
		"http://127.0.0.1:4318/v1/traces":   "http://127.0.0.1:4318/v1/traces",
		"127.0.0.1:4318":                    "",
		"localhost:4318":                    "",
		"grpc://localhost:4317":             "",
		"http://":                           "",
		"http://name:secret@127.0.0.1:4318": "",
		"http://127.0.0.1:4318?a=b":         "",
		"http://a b":                        "",
	} {
		err := CheckURL(url)
		if (err == nil) != (want != "") {
			t.Errorf("%s: %v", url, err)
		}
		if err == nil && New(url, Resource{}, nil).url != want {
			t.Errorf("%s: spans go to %s", url, New(url, Resource{}, nil).url)
		}
	}
}
