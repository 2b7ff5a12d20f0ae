package ingress

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/piccolo-counter/piccolo"
)

// parseObject reads {"key": "…", "value": 10}. It is stricter than
// encoding/json, which takes the last of two fields of one name, ignores the
// case of names, and turns what is not UTF-8 into a replacement character,
// under which different keys would become one.
func (p *pair) parseObject(body []byte) *problem {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return newProblem(400, `the body is not a JSON object like {"key":"foo","value":10}: %s`, quote(body))
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return malformed(err)
		}
		name, _ := t.(string) // the decoder sees to it that it is one
		switch name {
		case "key":
			t, raw, refusal := next(dec, body)
			if refusal != nil {
				return refusal
			}
			key, ok := t.(string)
			switch {
			case !ok:
				return bad("key", "is not a string: %s", quote(raw))
			case !utf8.Valid(raw):
				return bad("key", "is not valid UTF-8: %s", quote(raw))
			}
			if strings.ContainsRune(key, utf8.RuneError) && piccolo.HasHalfPair(raw) {
				return bad("key", "has half of a surrogate pair: %s", quote(raw))
			}
			if refusal := p.set("key", &p.key, &p.hasKey, []byte(key)); refusal != nil {
				return refusal
			}
		case "value":
			t, raw, refusal := next(dec, body)
			if refusal != nil {
				return refusal
			}
			number, ok := t.(json.Number)
			if !ok {
				return bad("value", "is not a number: %s", quote(raw))
			}
			if refusal := p.set("value", &p.value, &p.hasValue, []byte(number)); refusal != nil {
				return refusal
			}
		default:
			return newProblem(400, "field %s is unknown: want key and value", quote([]byte(name)))
		}
	}
	if _, err := dec.Token(); err != nil {
		return malformed(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return newProblem(400, "something follows the JSON object")
	}
	return nil
}

// next reads the value of a field, and returns how it stands in the body too.
func next(dec *json.Decoder, body []byte) (t json.Token, raw []byte, p *problem) {
	start := dec.InputOffset()
	t, err := dec.Token()
	if err != nil {
		return nil, nil, malformed(err)
	}
	return t, bytes.TrimLeft(body[start:dec.InputOffset()], ": \t\r\n"), nil
}

func malformed(err error) *problem {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return newProblem(400, "the JSON is cut short")
	}
	return newProblem(400, "the JSON is malformed: %v", err)
}
