package ingress

import (
	"bytes"

	"github.com/piccolo-counter/piccolo"
)

// pair is what a request to count one increment brings. The slices may point
// into the request.
type pair struct {
	key, value, ack          []byte // ack is from the query string only
	hasKey, hasValue, hasAck bool
}

// set takes a field, once.
func (p *pair) set(name string, dst *[]byte, has *bool, value []byte) *problem {
	if *has {
		return bad(name, "is given twice: %s and %s", quote(*dst), quote(value))
	}
	*dst, *has = value, true
	return nil
}

// parseForm reads key=…&value=… from a form body or, where query is set, from
// a query string, which may say ack=… too.
func (p *pair) parseForm(src []byte, query bool) *problem {
	for len(src) > 0 {
		var field []byte
		if i := bytes.IndexByte(src, '&'); i >= 0 {
			field, src = src[:i], src[i+1:]
		} else {
			field, src = src, nil
		}
		if len(field) == 0 {
			continue
		}
		name, value, _ := bytes.Cut(field, []byte{'='})
		name, refusal := unescape("a parameter's name", name, ' ')
		if refusal != nil {
			return refusal
		}
		switch {
		case string(name) == "key":
			if value, refusal = unescape("key", value, ' '); refusal == nil {
				refusal = p.set("key", &p.key, &p.hasKey, value)
			}
		case string(name) == "value":
			// A + stays what it is: no value has a blank, and +7 is 7.
			if value, refusal = unescape("value", value, '+'); refusal == nil {
				refusal = p.set("value", &p.value, &p.hasValue, value)
			}
		case query && string(name) == "ack":
			if value, refusal = unescape("ack", value, ' '); refusal == nil {
				refusal = p.set("ack", &p.ack, &p.hasAck, value)
			}
		default:
			refusal = newProblem(400, "parameter %s is unknown: want key and value", quote(name))
		}
		if refusal != nil {
			return refusal
		}
	}
	return nil
}

// unescape undoes percent-encoding, and reads + as what plus says. It returns
// raw itself where there is nothing to undo, and a copy otherwise: the request's
// bytes may be read again.
func unescape(field string, raw []byte, plus byte) ([]byte, *problem) {
	if bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return raw, nil
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '+':
			out = append(out, plus)
		case '%':
			b, ok := unhex(raw[i+1:])
			if !ok {
				return nil, bad(field, "is not valid percent-encoding: %s", quote(raw))
			}
			out = append(out, b)
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

func unhex(s []byte) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	hi, lo := digit(s[0]), digit(s[1])
	return hi<<4 | lo, hi|lo < 16
}

// digit is the value of a hexadecimal digit, 255 for anything else.
func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// increment checks what came and returns the value to count under p.key.
func (p *pair) increment(maxKey int) (value int64, refusal *problem) {
	if !p.hasKey {
		return 0, bad("key", "is missing")
	}
	if !p.hasValue {
		return 0, bad("value", "is missing")
	}
	if refusal := checkKey(p.key, maxKey); refusal != nil {
		return 0, refusal
	}
	return parseValue(p.value)
}

// checkKey refuses a key that may not be counted.
func checkKey(key []byte, longest int) *problem {
	if len(bytes.TrimSpace(key)) == 0 {
		return bad("key", "is blank")
	}
	if err := piccolo.CheckKey(key, longest); err != nil {
		return bad("key", "%v: %s", err, quote(key))
	}
	return nil
}
