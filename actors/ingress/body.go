package ingress

import (
	"errors"
	"io"
	"net"

	"github.com/valyala/fasthttp"
)

// errTooLarge ends a body that is larger than it may be.
var errTooLarge = errors.New("the body is too large")

// wire is the body of a request as it comes in. Unlike fasthttp's own stream it
// does not take a connection that ends for the end of the body.
type wire struct {
	src    io.Reader // nil for no body
	conn   *conn
	length int // what was announced; below 0 for a body in chunks
	left   int // bytes that may still come
}

func newWire(ctx *fasthttp.RequestCtx, limit int) (wire, error) {
	w := wire{ctx.RequestBodyStream(), ctx.Conn().(*conn), ctx.Request.Header.ContentLength(), limit}
	if w.length > limit {
		return w, errTooLarge
	}
	return w, nil
}

func (w *wire) Read(p []byte) (int, error) {
	if w.src == nil {
		return 0, io.EOF
	}
	n, err := w.src.Read(p)
	w.left -= n
	w.length -= n
	switch {
	case w.left < 0:
		return 0, errTooLarge
	case err == io.EOF && (w.length > 0 || w.length < 0 && w.conn.ended):
		return n, io.ErrUnexpectedEOF // whoever has the last chunk does not look for more
	}
	return n, err
}

// readAll reads the whole body of a request into dst, which is at most limit
// bytes. When dst has been made larger, grown is told, and may end it.
func readAll(ctx *fasthttp.RequestCtx, dst []byte, limit int, grown func(size int) error) ([]byte, error) {
	w, err := newWire(ctx, limit)
	if err != nil {
		return dst, err
	}
	dst = dst[:0]
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
			if err := grown(cap(dst)); err != nil {
				return dst, err
			}
		}
		n, err := w.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, ctx.Request.CloseBodyStream()
		}
		if err != nil {
			return dst, err
		}
	}
}

// unread is the refusal of a request whose body could not be read: err says
// why, limit is what it was read with.
func (in *Ingress) unread(err error, limit int) *problem {
	var (
		network net.Error
		p       *problem
	)
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, fasthttp.ErrBodyTooLarge):
		p = newProblem(413, "the body is larger than %d bytes", limit)
	case errors.As(err, &network) && network.Timeout():
		p = newProblem(408, "the request did not come within %s", in.server.ReadTimeout)
	default:
		p = newProblem(400, "the request is malformed or cut short: %v", err)
	}
	p.close = true
	return p
}
