package otlp

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// The shapes of OTLP's ExportTraceServiceRequest in JSON: ids are hexadecimal,
// 64-bit integers are strings.
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []attribute `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	span struct {
		TraceID      string      `json:"traceId"`
		SpanID       string      `json:"spanId"`
		ParentSpanID string      `json:"parentSpanId"`
		Name         string      `json:"name"`
		Kind         int         `json:"kind"`
		Start        string      `json:"startTimeUnixNano"`
		End          string      `json:"endTimeUnixNano"`
		Attributes   []attribute `json:"attributes"`
		Links        []link      `json:"links"`
		DroppedLinks int         `json:"droppedLinksCount,omitempty"`
		Status       *status     `json:"status,omitempty"`
	}
	link struct {
		TraceID string `json:"traceId"`
		SpanID  string `json:"spanId"`
	}
	status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	attribute struct {
		Key   string `json:"key"`
		Value value  `json:"value"`
	}
	value struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"`
	}
)

const (
	kindInternal = 1
	statusError  = 2
)

// encode makes the body of a request.
func encode(r Resource, spans []*piccolo.Span) []byte {
	const name = "piccolo"
	all := make([]span, len(spans))
	for i, s := range spans {
		all[i] = encodeSpan(s)
	}
	body, err := json.Marshal(request{[]resourceSpans{{
		Resource: resource{[]attribute{
			text("service.name", name),
			text("service.version", r.Version),
			text("service.instance.id", r.Instance),
			text("piccolo.role", r.Role),
		}},
		ScopeSpans: []scopeSpans{{Scope: scope{name, r.Version}, Spans: all}},
	}}})
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return body
}

func encodeSpan(s *piccolo.Span) span {
	e := span{
		TraceID:      hex.EncodeToString(s.Trace[:]),
		SpanID:       hex.EncodeToString(s.Span[:]),
		ParentSpanID: hex.EncodeToString(s.Parent.Span[:]),
		Name:         s.Name,
		Kind:         kindInternal,
		Start:        nanoseconds(s.Start),
		End:          nanoseconds(s.End),
		DroppedLinks: s.Unlinked,
	}
	for _, a := range s.Attributes {
		switch v := a.Value.(type) {
		case string:
			e.Attributes = append(e.Attributes, text(a.Key, v))
		case int64:
			n := strconv.FormatInt(v, 10)
			e.Attributes = append(e.Attributes, attribute{a.Key, value{Int: &n}})
		}
	}
	for _, l := range s.Links {
		e.Links = append(e.Links, link{hex.EncodeToString(l.Trace[:]), hex.EncodeToString(l.Span[:])})
	}
	if s.Err != "" {
		e.Status = &status{statusError, s.Err}
	}
	return e
}

func text(key, s string) attribute { return attribute{key, value{String: &s}} }

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
