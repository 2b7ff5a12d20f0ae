package ingress

import (
	"github.com/valyala/fasthttp"
)

const (
	ackHeader         = "Piccolo-Ack"
	idempotencyHeader = "Idempotency-Key"
)

// has says whether a request has a header, which may be empty: fasthttp's Peek
// does not always tell that from none at all. The name is the canonical one.
func has(ctx *fasthttp.RequestCtx, name string) bool {
	for given := range ctx.Request.Header.All() {
		if string(given) == name {
			return true
		}
	}
	return false
}
