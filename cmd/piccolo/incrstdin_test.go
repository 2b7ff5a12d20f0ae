package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
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

// The chunks of an input are the same however often it is read, and together
// are all of it: blank lines, however many, end nothing.
func TestChunksOfLines(t *testing.T) {
	var input strings.Builder
	for i := range 25_000 {
		fmt.Fprintf(&input, "k%d 1\n", i)
	}
	input.WriteString(strings.Repeat("\n", 2*chunkBytes))
	input.WriteString("last 1")
	lines := newInput(strings.NewReader(input.String()))
	var sizes []int
	total := 0
	for {
		increments, read, err := lines.chunk()
		if err != nil {
			t.Fatal(err)
		}
		if read == 0 {
			break
		}
		sizes = append(sizes, len(increments))
		total += len(increments)
	}
	if total != 25_001 || sizes[0] != chunkLines || sizes[1] != chunkLines {
		t.Errorf("%d increments in chunks of %v", total, sizes)
	}
}

// The line that shows the progress never fills the terminal, and gives up the
// bar before the numbers.
func TestProgressText(t *testing.T) {
	file := progress{size: 2000, read: 999}
	for _, c := range []struct {
		p       progress
		columns int
		want    string
	}{
		{file, 80, "[==============                ]  49 %  1,234,567 counted, 617,283/s"},
		{file, 53, "[======        ]  49 %  1,234,567 counted, 617,283/s"},
		{file, 40, " 49 %  1,234,567 counted, 617,283/s"},
		{file, 20, " 49 %  1,234,567 co"},
		{file, 0, ""},
		{progress{read: 999}, 80, "1,234,567 counted, 617,283/s"}, // from a pipe
		{progress{size: 2000, read: 2001}, 80, "[==============================] 100 %  1,234,567 counted, 617,283/s"}, // a last line without its end
	} {
		if got := c.p.text(1_234_567, 2*time.Second, c.columns); got != c.want || len(got) >= max(c.columns, 1) {
			t.Errorf("%d of %d bytes, %d columns: %q, want %q", c.p.read, c.p.size, c.columns, got, c.want)
		}
	}
	if got := (&progress{}).text(5, 0, 80); got != "5 counted, 5,000/s" {
		t.Errorf("at once: %q", got)
	}
}
