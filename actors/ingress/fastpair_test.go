package ingress

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

var pairSeeds = []string{
	`{"key":"foo","value":10}`, `{"key":"foo","value":10}` + "\n", `{"key": "foo", "value": 10}`, `{"key":"foo", "value":10}`, `{"key": "foo","value": -10},`,
	`{"key":"a","value":0}`, `{"key":"a","value":-0}`, `{"key":"a","value":01}`, `{"key":"a","value":1.5}`, `{"key":"a","value":1e3}`, `{"key":"a","value":+1}`,
	`{"key":"a","value":999999999999999999}`, `{"key":"a","value":9223372036854775807}`, `{"key":"a","value":-9223372036854775808}`, `{"key":"a","value":9223372036854775808}`,
	`{"key":"ключ","value":10}`, `{"key":"aключ😀","value":10}`, "{\"key\":\"a\xff\",\"value\":10}", "{\"key\":\"a\x00\",\"value\":10}", "{\"key\":\"\u2003\",\"value\":10}",
	`{"key":"a\"b","value":10}`, `{"key":"a\ud83d","value":10}`, `{"key":" a","value":10}`, `{"key":" ","value":10}`, `{"key":"","value":10}`, `{"key":"a}","value":10}`,
	`{"value":10,"key":"foo"}`, `{"key":"foo","value":10,"key":"bar"}`, `{"key":"foo","value":-}`, `{"key":"foo","value":}`, `{"key":"foo","value":10`, `{"key":"12345678","value":1}`,
	`{"key":"123456789012345678901234567890123456789012345678901234567890","value":1}`, `{"key":"foo","valuf":10}`, `{"key":"foo","value"x10}`,
}

// Invariant: what the fast path takes, the general one and encoding/json read
// the same.
func FuzzFastPairIsWhatTheGeneralPathReads(f *testing.F) {
	for _, s := range pairSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		const longest = 48
		key, value, n := fastPair(raw, longest)
		if n == 0 {
			return
		}
		var p pair
		if problem := p.parseObject(raw[:n]); problem != nil {
			t.Fatalf("%q is taken, the general path says %v", raw[:n], problem)
		}
		got, problem := p.increment(longest)
		if problem != nil || got != value || !bytes.Equal(p.key, key) {
			t.Errorf("%q: %q and %d, the general path says %q, %d, %v", raw[:n], key, value, p.key, got, problem)
		}
		var want struct {
			Key   string
			Value int64
		}
		if err := json.Unmarshal(raw[:n], &want); err != nil || want.Key != string(key) || want.Value != value {
			t.Errorf("%q: %q and %d, encoding/json says %q, %d, %v", raw[:n], key, value, want.Key, want.Value, err)
		}
	})
}

// The shapes that the fast path is for take it.
func TestFastPairIsTaken(t *testing.T) {
	for _, s := range []string{
		`{"key":"a","value":1}`, `{"key":"a","value":-1}`, `{"key":"a","value":0}`, `{"key": "a", "value": 1}`, `{"key":"key-00000001-abcd","value":-100}`,
		`{"key":"12345678","value":123456789012345678}`, `{"key":"aключ","value":10}`,
	} {
		if _, _, n := fastPair([]byte(s), 64); n != len(s) {
			t.Errorf("%s: %d bytes of %d", s, n, len(s))
		}
	}
}

func TestFastPairAllocatesNothing(t *testing.T) {
	line := []byte(`{"key":"key-00000001-abcd","value":-100}`)
	if n := testing.AllocsPerRun(1000, func() { fastPair(line, 64) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzObjectEndIsWhereTheObjectEnds(f *testing.F) {
	for _, s := range pairSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) == 0 || raw[0] != '{' || !utf8.Valid(raw) {
			return
		}
		n := objectEnd(raw)
		for end := range raw {
			var p pair
			if p.parseObject(raw[:end+1]) == nil {
				if n != end+1 {
					t.Fatalf("%q is an object, objectEnd says %d bytes of it", raw[:end+1], n)
				}
				return
			}
		}
	})
}
