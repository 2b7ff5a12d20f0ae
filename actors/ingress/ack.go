package ingress

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// ackMode is what the request asks to wait for, which it may say more than once
// as long as it says the same.
func (in *Ingress) ackMode(ctx *fasthttp.RequestCtx, p *pair) (piccolo.Ack, *problem) {
	said, hasAck := p.ack, p.hasAck
	for header, name := range ctx.Request.Header.All() {
		if string(header) != ackHeader {
			continue
		}
		if hasAck && !bytes.Equal(name, said) {
			return 0, bad(p.ackField(), "is both %s and %s", quote(said), quote(name))
		}
		said, hasAck = name, true
	}
	if !hasAck {
		return in.Ack, nil
	}
	for ack, name := range ackBytes {
		if bytes.Equal(name, said) {
			return piccolo.Ack(ack), nil
		}
	}
	return 0, bad(p.ackField(), "is none of memory, stored, applied: %s", quote(said))
}

// ackField is the field that says what to wait for: where query and header do, the
// one in the query.
func (p *pair) ackField() string {
	if p.hasAck {
		return "ack"
	}
	return ackHeader
}

// ackOfMany reads the query, which says nothing but what to wait for.
func (in *Ingress) ackOfMany(ctx *fasthttp.RequestCtx, query []byte) (piccolo.Ack, *problem) {
	var p pair
	if refusal := p.parseForm(query, true); refusal != nil {
		return 0, refusal
	}
	if p.hasKey || p.hasValue {
		return 0, newProblem(400, "key and value belong into the body here: POST /increment takes them in the query")
	}
	return in.ackMode(ctx, &p)
}

// ackOfReplace is what the request asks to wait for. Until it is stored, what
// replaces a number has no place in the stream, and so means nothing yet.
func (in *Ingress) ackOfReplace(ctx *fasthttp.RequestCtx, p *pair) (piccolo.Ack, *problem) {
	ack, refusal := in.ackMode(ctx, p)
	switch {
	case refusal != nil:
		return 0, refusal
	case ack != piccolo.AckMemory:
		return ack, nil
	case p.hasAck || has(ctx, ackHeader):
		return 0, bad(p.ackField(), "is memory, which is for increments: want stored or applied")
	}
	return piccolo.AckStored, nil // memory is the default here
}
