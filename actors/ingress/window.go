package ingress

import (
	"errors"
	"io"
)

// errItemTooLong ends a body with an item that is larger than a window may be.
var errItemTooLong = errors.New("the item is too long")

const (
	minWindow = 16 << 10
	maxWindow = 256 << 10
)

// window is the part of a body that is looked at. It moves along, so that a
// body of any length takes no more memory than its longest item. It starts
// small, so that a client that sends little or slowly gets little.
type window struct {
	src io.Reader
	buf []byte
	at  int // what lies before has been taken
	end int // what lies behind has not come
	max int
	eof bool
}

func (w *window) reset(src io.Reader) {
	if w.buf == nil {
		w.buf = make([]byte, minWindow)
	}
	w.src, w.at, w.end, w.eof = src, 0, 0, false
}

// rest is what has come and has not been taken. It is valid until more.
func (w *window) rest() []byte { return w.buf[w.at:w.end] }

// more fills the window, and returns io.EOF when nothing more comes. It reads as
// much as there is room for: to look again at an item each time that a byte of
// it has come would take the square of its length.
func (w *window) more() error {
	if w.eof {
		return io.EOF
	}
	full := w.end == len(w.buf)
	w.end = copy(w.buf, w.buf[w.at:w.end])
	w.at = 0
	if full && len(w.buf) < w.max {
		larger := make([]byte, min(2*len(w.buf), w.max))
		copy(larger, w.buf[:w.end])
		w.buf = larger
	}
	if w.end == len(w.buf) {
		return errItemTooLong
	}
	before := w.end
	for w.end < len(w.buf) {
		n, err := w.src.Read(w.buf[w.end:])
		w.end += n
		if err == io.EOF {
			w.eof = true
			break
		}
		if err != nil {
			return err
		}
	}
	if w.end == before {
		return io.EOF
	}
	return nil
}
