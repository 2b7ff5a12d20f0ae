package piccolo

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// SpanContext names a span to those that come after it, as W3C Trace Context
// has it.
type SpanContext struct {
	Trace   [16]byte
	Span    [8]byte
	Sampled bool // somebody wants to see it
}

// ParseTraceparent reads a traceparent. It is not ok where that is malformed,
// which means as much as that there is none.
func ParseTraceparent[T string | []byte](s T) (c SpanContext, ok bool) {
	// version-trace-span-flags. A version to come may append more.
	const size = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(s) < size || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return c, false
	}
	var version, flags [1]byte
	if !lowerHex(version[:], s[:2]) || version[0] == 0xff ||
		!lowerHex(c.Trace[:], s[3:35]) || !lowerHex(c.Span[:], s[36:52]) || !lowerHex(flags[:], s[53:size]) {
		return SpanContext{}, false
	}
	if len(s) > size && (version[0] == 0 || s[size] != '-') {
		return SpanContext{}, false
	}
	if c.Trace == [16]byte{} || c.Span == [8]byte{} {
		return SpanContext{}, false
	}
	c.Sampled = flags[0]&1 != 0
	return c, true
}

// lowerHex decodes digits, which must not be upper case.
func lowerHex[T string | []byte](dst []byte, s T) bool {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

// String is the traceparent.
func (c SpanContext) String() string {
	flags := "-00"
	if c.Sampled {
		flags = "-01"
	}
	return "00-" + hex.EncodeToString(c.Trace[:]) + "-" + hex.EncodeToString(c.Span[:]) + flags
}

// Span tells of a piece of work, for whoever collects traces.
type Span struct {
	SpanContext
	Name       string
	Parent     SpanContext   // of the same trace
	Links      []SpanContext // what led to it, its parent included
	Unlinked   int           // how many more did
	Start, End time.Time
	Err        string // why it failed, if so
	Attributes []Attribute
}

// Attribute is a fact about a span: a string or an int64.
type Attribute struct {
	Key   string
	Value any
}

// MaxLinks bounds the links of one span.
const MaxLinks = 16

// NewSpan begins a span of what several others led to. It goes on with the trace
// of the first, so that whoever looks at that finds it, and links to all.
func NewSpan(name string, links []SpanContext, unlinked int, start time.Time) *Span {
	s := &Span{Name: name, Parent: links[0], Links: links, Unlinked: unlinked, Start: start}
	s.Trace, s.Sampled = s.Parent.Trace, true
	if _, err := rand.Read(s.Span[:]); err != nil {
		panic(err) // see NewProducer
	}
	return s
}
