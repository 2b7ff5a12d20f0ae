package piccolo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"pgregory.net/rapid"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceparentIsReadAndWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c piccolo.SpanContext
		copy(c.Trace[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "trace"))
		copy(c.Span[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "span"))
		c.Trace[3] |= 1
		c.Span[5] |= 1
		c.Sampled = rapid.Bool().Draw(t, "sampled")
		if got, ok := piccolo.ParseTraceparent(c.String()); !ok || got != c {
			t.Errorf("%s is read as %v, %v", c, got, ok)
		}
	})
	if c, ok := piccolo.ParseTraceparent([]byte(traceparent)); !ok || !c.Sampled || c.String() != traceparent {
		t.Errorf("%s is read as %s, %v", traceparent, c, ok)
	}
}

func TestTraceparentOfAVersionToComeIsRead(t *testing.T) {
	later := "01" + traceparent[2:]
	for _, s := range []string{later, later + "-more"} {
		if c, ok := piccolo.ParseTraceparent(s); !ok || c.String() != traceparent {
			t.Errorf("%s is read as %s, %v", s, c, ok)
		}
	}
}

func TestMalformedTraceparentIsNone(t *testing.T) {
	for _, s := range []string{
		"", "00", traceparent[1:], traceparent[:54], traceparent + "-more", traceparent + "0",
		"ff" + traceparent[2:],
		"01" + traceparent[2:] + "0",
		strings.ToUpper(traceparent),
		strings.Replace(traceparent, "a", "g", 1),
		strings.Replace(traceparent, "-", "_", 1),
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-" + strings.Repeat("0", 16) + "-01",
	} {
		if c, ok := piccolo.ParseTraceparent(s); ok || c != (piccolo.SpanContext{}) {
			t.Errorf("%q is read as %s", s, c)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add(traceparent)
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := piccolo.ParseTraceparent(s)
		if again, valid := piccolo.ParseTraceparent(c.String()); ok && (!valid || again != c) {
			t.Errorf("%q is read as %s, and that as %s", s, c, again)
		}
	})
}

func TestSpanGoesOnWithTheFirstOfItsLinks(t *testing.T) {
	first, _ := piccolo.ParseTraceparent(traceparent)
	s := piccolo.NewSpan("flush", []piccolo.SpanContext{first}, 0, time.Now())
	if s.Trace != first.Trace || s.Parent != first || s.Span == first.Span || !s.Sampled {
		t.Errorf("a span after %s is %s", first, s.SpanContext)
	}
}
