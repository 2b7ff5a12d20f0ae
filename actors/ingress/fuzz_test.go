package ingress

import (
	"bytes"
	"encoding/json"
	"math"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/piccolo-counter/piccolo"
)

func FuzzValueIsWhatStrconvReads(f *testing.F) {
	for _, s := range []string{
		"", "0", "-0", "+7", "-7", "--7", "+-7", "007", " 7", "7 ", "1.0", "1e3", "0x10", "1_000", "٣",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551623",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, p := parseValue(raw)
		want, err := strconv.ParseInt(string(raw), 10, 64)
		if (p == nil) != (err == nil) || p == nil && got != want {
			t.Errorf("%q: %d, %v; strconv says %d, %v", raw, got, p, want, err)
		}
	})
}

func FuzzFormIsWhatNetURLReads(f *testing.F) {
	for _, s := range []string{
		"key=foo&value=10", "value=10&key=foo", "&&key=a%20b+c&value=-7&", "key=a=b&value=%2B7", "%6bey=foo&value=1",
		"key=foo&key=bar&value=1", "key=%&value=1", "key=%zz&value=1", "key&value", "key=%FF&value=1", "key=a;b&value=1",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var p pair
		refusal := p.parseForm(body, false)
		if !bytes.Equal(body, before) {
			t.Fatalf("%q was changed to %q", before, body)
		}
		if refusal != nil {
			return
		}
		want, err := url.ParseQuery(string(body))
		if err != nil && !strings.Contains(err.Error(), "semicolon") {
			t.Fatalf("%q is taken, net/url says %v", body, err)
		}
		if err != nil {
			return
		}
		if p.hasKey != want.Has("key") || string(p.key) != want.Get("key") {
			t.Errorf("%q: key %q, net/url says %q", body, p.key, want.Get("key"))
		}
		if value := strings.ReplaceAll(string(p.value), "+", " "); p.hasValue != want.Has("value") || value != strings.ReplaceAll(want.Get("value"), "+", " ") {
			t.Errorf("%q: value %q, net/url says %q", body, p.value, want.Get("value"))
		}
	})
}

func FuzzObjectIsWhatEncodingJSONReads(f *testing.F) {
	for _, s := range []string{
		`{"key":"foo","value":10}`, ` { "value" : -7 , "key" : "\u043a\ud83d\ude00" } `, `{"key":"a\ud83d","value":1}`,
		`{"key":"\ufffd\ud83d","value":1}`, `{"key":"\\ud83d","value":1}`, `{"key":"foo","key":"bar","value":1}`,
		`{"key":null,"value":null}`, `{"key":"foo","value":1e3}`, `{"Key":"foo","value":1}`, `{}`, `[]`, `{"key":"\`, `{"key":"\u12`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var p pair
		refusal := p.parseObject(body)
		if key, value, ok := plainObject(body); ok {
			got, unfit := p.increment(math.MaxInt)
			if refusal != nil || unfit != nil || string(p.key) != key || got != value {
				t.Fatalf("%q is %q and %d, and refused (%+v, %+v) or taken for %q and %d", body, key, value, refusal, unfit, p.key, got)
			}
		}
		if refusal != nil {
			return
		}
		var want struct {
			Key   string
			Value json.Number
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q is taken, encoding/json says %v", body, err)
		}
		if string(p.key) != want.Key || string(p.value) != want.Value.String() {
			t.Errorf("%q: %q and %q, encoding/json says %q and %q", body, p.key, p.value, want.Key, want.Value)
		}
		if !utf8.Valid(p.key) {
			t.Errorf("%q: key %q is not UTF-8", body, p.key)
		}
	})
}

// plainObject reads a key that may be counted and a value by encoding/json, where
// there is nothing in the body that it would overlook.
func plainObject(body []byte) (key string, value int64, ok bool) {
	var fields map[string]json.RawMessage
	var o struct {
		Key   string
		Value int64
	}
	if !utf8.Valid(body) || json.Unmarshal(body, &fields) != nil || json.Unmarshal(body, &o) != nil || piccolo.HasHalfPair(body) {
		return "", 0, false
	}
	tokens, dec := 0, json.NewDecoder(bytes.NewReader(body))
	for _, err := dec.Token(); err == nil; _, err = dec.Token() {
		tokens++
	}
	if tokens != 6 || len(fields) != 2 || // a brace, two names, two values, a brace
		string(fields["key"]) == "null" || fields["key"] == nil || string(fields["value"]) == "null" || fields["value"] == nil {
		return "", 0, false
	}
	return o.Key, o.Value, checkKey([]byte(o.Key), math.MaxInt) == nil
}

// What is shown of a request is short, and never breaks a line.
func FuzzQuote(f *testing.F) {
	f.Add([]byte("foo"))
	f.Add([]byte("a\n\x00\xFF"))
	f.Add([]byte(strings.Repeat("é", 100)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := quote(raw)
		if len(s) > 4*64+40 || strings.ContainsAny(s, "\n\r\x00") || !utf8.ValidString(s) {
			t.Errorf("%q is shown as %s", raw, s)
		}
	})
}

// What a reader asks for is what net/url reads, or is refused.
func FuzzSelectionIsWhatNetURLReads(f *testing.F) {
	for _, s := range []string{
		"", "key=a&key=b", "prefix=user%3A&limit=10&order=value", "prefix=a+b&after=a%20c", "key=a&after=p.0.1",
		"limit=1e3", "limit=0", "prefix=%ff", "key=%00", "order=key&order=key", "key", "prefix=%2", "a=b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		var s selection
		if s.parse(query, "key", "prefix", "limit", "after", "order") != nil || s.check() != nil {
			return
		}
		want, err := url.ParseQuery(string(query))
		if err != nil {
			if !strings.Contains(err.Error(), "semicolon") {
				t.Fatalf("%q is taken, net/url says %v", query, err)
			}
			return
		}
		if strings.Join(s.keys, "\x00") != strings.Join(want["key"], "\x00") {
			t.Errorf("%q: keys %q, net/url says %q", query, s.keys, want["key"])
		}
		if len(s.keys) > 0 {
			return
		}
		if s.page.Prefix != want.Get("prefix") || s.page.After != want.Get("after") || s.page.Limit < 1 || s.page.Limit > 1000 {
			t.Errorf("%q: %+v, net/url says %v", query, s.page, want)
		}
	})
}
