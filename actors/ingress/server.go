package ingress

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

func (in *Ingress) newServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      in.handle,
		ErrorHandler:                 in.handleBroken,
		Logger:                       quiet{in.Log},
		StreamRequestBody:            true, // a request is looked at before its body is read
		MaxRequestBodySize:           in.MaxBody,
		ReadBufferSize:               8 << 10, // and so the most that a request's headers may take
		ReadTimeout:                  30 * time.Second,
		WriteTimeout:                 30 * time.Second,
		IdleTimeout:                  2 * time.Minute,
		Concurrency:                  256 << 10, // connections; each costs a goroutine and its buffers
		CloseOnShutdown:              true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true, // no client's bytes in the log
		DisablePreParseMultipartForm: true,
	}
}

// quiet keeps what single connections do wrong out of the log.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) { q.log.Debug("http: "+format, "args", args) }

func (in *Ingress) handle(ctx *fasthttp.RequestCtx) {
	if in.draining.Load() {
		defer ctx.SetConnectionClose()
	}
	if p := checkFraming(ctx); p != nil {
		in.fail(ctx, p)
		return
	}
	path, query, _ := bytes.Cut(originForm(ctx.RequestURI()), []byte{'?'})
	in.route(ctx, path, query)
}

// originForm is a request's target without the scheme and host that a client
// may send as it would to a proxy, which RFC 9112 has every server take.
func originForm(target []byte) []byte {
	for _, scheme := range []string{"http://", "https://"} {
		if len(target) > len(scheme) && strings.EqualFold(string(target[:len(scheme)]), scheme) {
			rest := target[len(scheme):]
			i := bytes.IndexAny(rest, "/?")
			if i >= 0 && rest[i] == '/' {
				return rest[i:]
			}
		}
	}
	return target
}

// handleBroken answers what could not be read as a request.
func (in *Ingress) handleBroken(ctx *fasthttp.RequestCtx, err error) {
	c := ctx.Conn().(*conn)
	if handshakeFailed(c.Conn, err) {
		c.unread.Store(true)
		return
	}
	if small := (*fasthttp.ErrSmallBuffer)(nil); errors.As(err, &small) {
		p := newProblem(431, "the headers are larger than %d bytes", in.server.ReadBufferSize)
		p.close = true
		in.fail(ctx, p)
		return
	}
	in.fail(ctx, in.unread(err, in.MaxBody))
}

// maxUnread is how long a body may be for its connection to go on when the body
// has not been read.
const maxUnread = 64 << 10

func (in *Ingress) fail(ctx *fasthttp.RequestCtx, p *problem) {
	in.replies.count(p.Status)
	// What is left of a body that is large would be waited for at length.
	if n := ctx.Request.Header.ContentLength(); ctx.Request.IsBodyStream() && (n < 0 || n > maxUnread) {
		p.close = true
	}
	if p.close {
		ctx.Conn().(*conn).unread.Store(true)
	}
	p.write(ctx)
}
