package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/internal/port"
)

// collectedSpan is as much of a span in OTLP as there is to check.
type collectedSpan struct {
	TraceID      string `json:"traceId"`
	SpanID       string `json:"spanId"`
	ParentSpanID string `json:"parentSpanId"`
	Name         string `json:"name"`
	Links        []struct {
		TraceID string `json:"traceId"`
		SpanID  string `json:"spanId"`
	} `json:"links"`
}

// linksTo says whether one of its links is to a span.
func (s *collectedSpan) linksTo(trace, span string) bool {
	for _, l := range s.Links {
		if l.TraceID == trace && l.SpanID == span {
			return true
		}
	}
	return false
}

// collect is a collector of traces, and what comes to it.
func collect(t *testing.T) (url string, spans <-chan collectedSpan) {
	t.Helper()
	c := make(chan collectedSpan, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []collectedSpan `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		for _, rs := range body.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					c <- s
				}
			}
		}
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(server.Close)
	return server.URL, c
}

// A trace goes on from the request into the flush that carries it, and from
// there, through the stream, into the fold.
func TestTraceOfAnIncrement(t *testing.T) {
	url, spans := collect(t)
	p := startAllInOne(t, "--listen", "127.0.0.1:0", "--otlp", url)
	const trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, header := range []string{"", "00-" + trace + "-" + caller + "-00", "00-" + trace + "-" + caller + "-01"} {
		req, err := http.NewRequest(http.MethodPost, p.api+"/increment?ack=applied&key=foo&value=10", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("traceparent", header)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatal(res.Status)
		}
	}
	p.stop()
	var flush, fold *collectedSpan
	for len(spans) > 0 {
		s := <-spans
		switch s.Name {
		case "flush":
			if flush != nil {
				t.Error("two flushes are traced, one was asked for")
			}
			flush = &s
		case "fold":
			if fold != nil {
				t.Error("two folds are traced, one was asked for")
			}
			fold = &s
		}
	}
	if flush == nil || fold == nil {
		t.Fatalf("flush %v, fold %v: %s", flush, fold, p.all.String())
	}
	if flush.TraceID != trace || flush.ParentSpanID != caller || !flush.linksTo(trace, caller) || len(flush.Links) != 1 {
		t.Errorf("flush %+v does not follow the request", flush)
	}
	if fold.TraceID != trace || fold.ParentSpanID != flush.SpanID || !fold.linksTo(trace, flush.SpanID) || len(fold.Links) != 1 {
		t.Errorf("fold %+v does not follow the flush", fold)
	}
	if slices.Contains([]string{flush.SpanID, caller}, fold.SpanID) || flush.SpanID == caller {
		t.Error("spans share an id")
	}
}

// A collector that is away is told of once, and increments count on.
func TestTracesWithoutACollector(t *testing.T) {
	p := startAllInOne(t, "--listen", "127.0.0.1:0", "--otlp", "http://"+port.Free(t))
	count := func() {
		req, err := http.NewRequest(http.MethodPost, p.api+"/increment?ack=applied&key=foo&value=10", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		client := http.Client{Timeout: 2 * time.Minute}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		}
	}
	count()
	p.logs("traces cannot be delivered", "", "")
	count()
	p.stop()
	if n := strings.Count(p.all.String(), "traces cannot be delivered"); n != 1 {
		t.Errorf("logged %d times: %s", n, p.all.String())
	}
}
