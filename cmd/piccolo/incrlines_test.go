package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo/client"
)

func TestParseLine(t *testing.T) {
	for line, want := range map[string]client.Increment{
		"visits":                          {Key: "visits", Value: 1},
		"visits 3":                        {Key: "visits", Value: 3},
		"a key\t-3":                       {Key: "a key", Value: -3},
		"7":                               {Key: "7", Value: 1},
		`{"value":-5,"key":"a \u006b\n"}`: {Key: "a k\n", Value: -5},
	} {
		if got, err := parseLine([]byte(line)); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{
		"a key", "visits 1.5", "visits 9223372036854775808", `{"key":"a"}`, `{"key":"a","value":1.5}`, `{"key":"a","value":1}}`,
		`{"key":"a","value":1,"more":2}`, "{\"key\":\"\xff\",\"value\":1}", `{`,
	} {
		if got, err := parseLine([]byte(line)); err == nil {
			t.Errorf("%q is read as %+v", line, got)
		}
	}
}

// Whatever a line of JSON is read as, encoding/json reads it, too.
func TestParseLineOfJSON(t *testing.T) {
	part := rapid.SampledFrom([]string{"{", "}", `"key"`, `"value"`, `"Key"`, ":", ",", "1", "-7", "1.5", "null", `"a"`, `"\u00e9"`, "\xff", " "})
	rapid.Check(t, func(t *rapid.T) {
		line := "{" + strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
		if rapid.Bool().Draw(t, "whole") {
			line = fmt.Sprintf(`{%q:%s,"value":%s}`, "key", part.Draw(t, "key"), part.Draw(t, "value"))
		}
		got, err := parseLine([]byte(line))
		if err != nil {
			return
		}
		var want client.Increment
		if err := json.Unmarshal([]byte(line), &want); err != nil || got != want || !utf8.ValidString(got.Key) {
			t.Errorf("%q: %+v, encoding/json says %+v, %v", line, got, want, err)
		}
	})
}

// The chunks of an input are the same however it comes in, and together are all
// of it: blank lines, however many, end nothing.
func TestChunksOfLines(t *testing.T) {
	var text strings.Builder
	for i := range 25_000 {
		fmt.Fprintf(&text, "k%d 1\n", i)
	}
	text.WriteString(strings.Repeat("\n", 2*chunkBytes))
	text.WriteString("last 1")
	read := func(in io.Reader) (chunks [][]client.Increment) {
		lines := newInput(t.Context(), in, 0)
		for {
			c, err := lines.chunk(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			chunks = append(chunks, c.increments)
			if c.last {
				return chunks
			}
		}
	}
	chunks := read(strings.NewReader(text.String()))
	if got := len(slices.Concat(chunks...)); got != 25_001 || len(chunks[0]) != chunkLines || len(chunks[1]) != chunkLines {
		t.Errorf("%d increments, the first chunks have %d and %d", got, len(chunks[0]), len(chunks[1]))
	}
	for name, in := range map[string]io.Reader{
		"again":         strings.NewReader(text.String()),
		"byte by byte":  iotest.OneByteReader(strings.NewReader(text.String())),
		"end with data": iotest.DataErrReader(strings.NewReader(text.String())),
	} {
		if !reflect.DeepEqual(read(in), chunks) {
			t.Errorf("%s: other chunks", name)
		}
	}
}

// What is followed waits for a second at most, and is counted where it is
// interrupted; what is not waits for its chunk, and an interruption ends it at
// once.
func TestChunksOfASlowPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		defer r.Close()
		ctx, interrupt := context.WithCancel(t.Context())
		lines := newInput(ctx, r, time.Second)
		begun := time.Now()
		go func() {
			for _, text := range []string{"a\n", "b\n", "c\n"} {
				_, _ = io.WriteString(w, text)
				time.Sleep(700 * time.Millisecond)
			}
			interrupt()
		}()
		if c, err := lines.chunk(ctx); err != nil || len(c.increments) != 2 || c.last || time.Since(begun) != time.Second {
			t.Errorf("%+v, %v after %s", c, err, time.Since(begun))
		}
		if c, err := lines.chunk(ctx); err != nil || len(c.increments) != 1 || !c.last {
			t.Errorf("interrupted: %+v, %v", c, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		defer r.Close()
		ctx, interrupt := context.WithCancel(t.Context())
		lines := newInput(ctx, r, 0)
		go func() {
			_, _ = io.WriteString(w, "a\n")
			time.Sleep(time.Hour)
			interrupt()
		}()
		if c, err := lines.chunk(ctx); !errors.Is(err, context.Canceled) || len(c.increments) != 0 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// A line is never read as something that the service would take for something
// else, and what is read stands in the line.
func FuzzParseLine(f *testing.F) {
	for _, seed := range []string{"visits", "visits 3", "a key\t-3", `{"key":"a","value":1}`, "a 9223372036854775808", "{", "\xff 1", "a  1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l := readLine(1, text)
		switch {
		case l.err != nil || l.blank:
			return
		case !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")):
			if again := readLine(1, fmt.Appendf(nil, "%s\t%d", l.increment.Key, l.increment.Value)); again.err != nil || again.increment != l.increment {
				t.Errorf("%q: %+v, read again %+v, %v", text, l.increment, again.increment, again.err)
			}
		default:
			again, err := json.Marshal(l.increment)
			if err != nil {
				t.Fatal(err)
			}
			if got := readLine(1, again); got.err != nil || got.increment != l.increment {
				t.Errorf("%q: %+v, read again %+v, %v", text, l.increment, got.increment, got.err)
			}
		}
	})
}
