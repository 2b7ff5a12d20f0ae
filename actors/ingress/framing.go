package ingress

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// checkFraming refuses a request whose end two servers in a row could see
// differently, or that says it has a body and not where that ends.
func checkFraming(ctx *fasthttp.RequestCtx) *problem {
	h := &ctx.Request.Header
	// fasthttp says 0 for an empty chunked body and for no length at all, and
	// has the connection closed when there is both a length and a coding.
	if h.ContentLength() > 0 && !h.ConnectionClose() {
		return nil
	}
	length := hasHeader(h.RawHeaders(), "content-length:")
	switch {
	case length && hasHeader(h.RawHeaders(), "transfer-encoding:"):
		p := newProblem(400, "the request has both Content-Length and Transfer-Encoding")
		p.close = true
		return p
	case !length && !has(ctx, fasthttp.HeaderTransferEncoding) && len(h.ContentType()) > 0 && (ctx.IsPost() || ctx.IsPut()):
		p := newProblem(411, "the request says a Content-Type and no Content-Length")
		p.close = true
		return p
	}
	return nil
}

func hasHeader(raw []byte, name string) bool {
	for line := range bytes.SplitSeq(raw, []byte{'\n'}) {
		if len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return true
		}
	}
	return false
}
