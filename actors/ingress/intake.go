package ingress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// intake reads the increments of one body. It is used again.
type intake struct {
	ingress *Ingress
	window  window
	bulk    *bulk
	raw     []byte // a body that is decompressed when it is complete
	taken   int64  // from the ingress's memory
}

// memory bounds what all bodies that are being read take, in bytes.
type memory struct {
	max  int64
	used atomic.Int64
}

// resize has somebody take size bytes who has taken some, or says that there is not
// enough; they are taken all the same, until they are given back.
func (m *memory) resize(taken *int64, size int64) error {
	used := m.used.Add(size - *taken)
	*taken = size
	if used > m.max {
		return errCrowded
	}
	return nil
}

// errCrowded refuses a body that there is no memory for beside the others.
var errCrowded = errors.New("the requests that are being read take as much memory as they may")

// openIntake returns an intake for a body. It must be closed.
func (in *Ingress) openIntake() *intake {
	t, _ := in.intakes.Get().(*intake)
	if t == nil {
		t = &intake{ingress: in, bulk: newBulk(in.Partitions)}
	}
	t.window.max = max(maxWindow, in.longestPair())
	return t
}

// keepable is how large an intake may be to be used again.
const keepable = 2 << 20

func (t *intake) close() {
	_ = t.ingress.memory.resize(&t.taken, 0)
	t.window.src = nil
	if t.size() <= keepable {
		t.bulk.reset()
		t.raw = t.raw[:0]
		t.ingress.intakes.Put(t)
	}
}

func (t *intake) size() int64 {
	return t.bulk.size() + int64(len(t.window.buf)+cap(t.raw))
}

// charge takes from the ingress's memory what t has grown by, or says that
// there is not enough.
func (t *intake) charge() *problem {
	if err := t.ingress.memory.resize(&t.taken, t.size()); err != nil {
		return unavailable(err)
	}
	return nil
}

// more has the window filled, and returns io.EOF when nothing more comes, or
// the refusal of the request.
func (t *intake) more() (eof bool, p *problem) {
	switch err := t.window.more(); err {
	case nil:
	case io.EOF:
		return true, nil
	case errItemTooLong:
		return false, t.at(newProblem(400, "is longer than %d bytes: %s", t.window.max, quote(t.window.rest())))
	default:
		return false, t.ingress.unread(err, t.ingress.MaxBody)
	}
	return false, t.charge()
}

// take counts a pair in, or says which one cannot be.
func (t *intake) take(p *pair) *problem {
	value, refusal := p.increment(t.ingress.MaxKeyBytes)
	if refusal != nil {
		return t.at(refusal)
	}
	t.bulk.add(p.key, value)
	return nil
}

// at names the increment that is at fault, counted from 0.
func (t *intake) at(p *problem) *problem {
	index := t.bulk.count
	p.Index = &index
	p.Detail = fmt.Sprintf("increment %d: %s", index, p.Detail)
	return p
}

// lines reads NDJSON: an object a line. Lines that are blank do not count.
func (t *intake) lines() *problem {
	for {
		rest := t.window.rest()
		for len(rest) > 0 {
			key, value, n := fastPair(rest, t.ingress.MaxKeyBytes)
			if n > 0 && n < len(rest) && rest[n] == '\n' {
				t.bulk.add(key, value)
				rest = rest[n+1:]
				continue
			}
			n = bytes.IndexByte(rest, '\n')
			if n < 0 {
				break
			}
			if p := t.line(rest[:n]); p != nil {
				return p
			}
			rest = rest[n+1:]
		}
		t.window.at = t.window.end - len(rest)
		eof, p := t.more()
		if eof {
			return t.line(t.window.rest())
		}
		if p != nil {
			return p
		}
	}
}

func (t *intake) line(line []byte) *problem {
	if len(bytes.Trim(line, " \t\r")) == 0 {
		return nil
	}
	return t.object(line)
}

// object reads a JSON object in any of the ways it can be written.
func (t *intake) object(raw []byte) *problem {
	var p pair
	if refusal := p.parseObject(raw); refusal != nil {
		return t.at(refusal)
	}
	return t.take(&p)
}

// array reads a JSON array of objects, or an object alone.
func (t *intake) array() *problem {
	c, p := t.token()
	switch {
	case p != nil:
		return p
	case c == '{':
		if p := t.element(c); p != nil {
			return p
		}
		return t.end()
	case c != '[':
		return newProblem(400, `the body is not a JSON array like [{"key":"foo","value":10}]: %s`, quote(t.window.rest()))
	}
	t.window.at++
	if c, p = t.token(); p == nil && c == ']' {
		t.window.at++
		return t.end()
	}
	for ; p == nil; c, p = t.token() {
		if p := t.element(c); p != nil {
			return p
		}
		if c, p = t.token(); p != nil {
			return p
		}
		switch c {
		case ',':
			t.window.at++
		case ']':
			t.window.at++
			return t.end()
		case none:
			return t.at(malformed(io.EOF))
		default:
			return t.at(newProblem(400, "the JSON is malformed: want , or ] before it: %s", quote(t.window.rest())))
		}
	}
	return p
}

// element reads the element of an array that starts with c.
func (t *intake) element(c int) *problem {
	switch c {
	case '{':
	case none:
		return t.at(malformed(io.EOF))
	default:
		return t.at(newProblem(400, `is not a JSON object like {"key":"foo","value":10}: %s`, quote(t.window.rest())))
	}
	for {
		rest := t.window.rest()
		if key, value, n := fastPair(rest, t.ingress.MaxKeyBytes); n > 0 {
			t.bulk.add(key, value)
			t.window.at += n
			return nil
		}
		n := objectEnd(rest)
		if n == 0 {
			eof, p := t.more()
			if p != nil {
				return p
			}
			if !eof {
				continue
			}
			n = len(rest)
		}
		t.window.at += n
		return t.object(rest[:n])
	}
}

// objectEnd returns how long the object is that b starts with, or begins to
// be: up to its end, or to an object or array within it, which is one too many.
// It returns 0 where b has less than that.
func objectEnd(b []byte) int {
	inString := false
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			i++
		case !inString && (c == '}' || c == '{' || c == '['):
			return i + 1
		}
	}
	return 0
}

// none is what token returns where nothing more comes.
const none = -1

// token returns what comes next but for blanks, and does not take it.
func (t *intake) token() (c int, p *problem) {
	for {
		rest := t.window.rest()
		for i, c := range rest {
			if !isBlank(c) {
				t.window.at += i
				return int(c), nil
			}
		}
		t.window.at = t.window.end
		if eof, p := t.more(); eof || p != nil {
			return none, p
		}
	}
}

// end sees to it that nothing follows.
func (t *intake) end() *problem {
	c, p := t.token()
	if p == nil && c != none {
		p = newProblem(400, "something follows the JSON: %s", quote(t.window.rest()))
	}
	return p
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// pairs reads a form with a key and a value for each increment, in either
// order.
func (t *intake) pairs() *problem {
	for {
		rest := t.window.rest()
		for {
			n := twoFields(rest)
			if n == 0 {
				break
			}
			if p := t.fields(rest[:n]); p != nil {
				return p
			}
			rest = rest[n:]
		}
		t.window.at = t.window.end - len(rest)
		eof, p := t.more()
		if p != nil {
			return p
		}
		if eof {
			rest := t.window.rest()
			if len(bytes.Trim(rest, "&")) == 0 {
				return nil
			}
			return t.fields(rest)
		}
	}
}

func (t *intake) fields(raw []byte) *problem {
	var p pair
	if refusal := p.parseForm(raw, false); refusal != nil {
		if t.bulk.count == 0 && looksLikeJSON(raw) {
			refusal.Detail += "; it looks like JSON, which takes Content-Type: application/x-ndjson or application/json"
		}
		return t.at(refusal)
	}
	return t.take(&p)
}

// twoFields returns how long the first two fields of a form are, with the
// ampersand behind them, or 0 where they have not all come.
func twoFields(form []byte) int {
	n := 0
	for fields := 0; fields < 2; {
		i := bytes.IndexByte(form[n:], '&')
		if i < 0 {
			return 0
		}
		if i > 0 {
			fields++
		}
		n += i + 1
	}
	return n
}
