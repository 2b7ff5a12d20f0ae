package ingress

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// increment serves POST /increment: one pair in a form body, in the query
// string, or in a JSON object.
func (in *Ingress) increment(ctx *fasthttp.RequestCtx, query []byte) {
	begun := in.replies.begun()
	body, _ := in.bodies.Get().(*[]byte)
	if body == nil {
		body = new([]byte)
	}
	defer in.bodies.Put(body)
	var p pair
	value, refusal := in.decode(ctx, query, body, &p)
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	ack, refusal := in.ackMode(ctx, &p)
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	if has(ctx, idempotencyHeader) {
		in.incrementOnce(ctx, p.key, value, ack, begun)
		return
	}
	traced := in.traces.begin(ctx)
	counted, err := in.Count(p.key, value, ack)
	traced.counted(counted.batch)
	if err != nil {
		in.fail(ctx, unavailable(err))
		return
	}
	held := counted.Wait()
	in.replies.acked(held, begun)
	in.reply(ctx, counted, held, p.key)
}

// decode reads the pair of a request, which points into the request and into
// buf.
func (in *Ingress) decode(ctx *fasthttp.RequestCtx, query []byte, buf *[]byte, p *pair) (value int64, refusal *problem) {
	if refusal = in.decodeFields(ctx, query, buf, p); refusal != nil {
		return 0, refusal
	}
	return p.increment(in.MaxKeyBytes)
}

// decodeFields reads what a request says in query and body, and does not look
// at it.
func (in *Ingress) decodeFields(ctx *fasthttp.RequestCtx, query []byte, buf *[]byte, p *pair) *problem {
	if refusal := p.parseForm(query, true); refusal != nil {
		return refusal
	}
	if encoding := contentEncoding(ctx); encoding != nil {
		p := newProblem(415, "Content-Encoding %s is not taken for one number: send it as it is, or many increments to POST /v1/increments", quote(encoding))
		p.acceptEncoding = "identity"
		return p
	}
	limit := min(in.MaxBody, in.longestPair())
	body, err := readAll(ctx, *buf, limit)
	if *buf = body; err != nil {
		return in.unread(err, limit)
	}
	switch media := mediaType(ctx); {
	case len(body) == 0 && ctx.IsDelete():
		return nil // whatever it would be
	case bytes.EqualFold(media, []byte("application/json")):
		return p.parseObject(body)
	case len(media) == 0, bytes.EqualFold(media, []byte("application/x-www-form-urlencoded")):
		return p.parseForm(body, false)
	default:
		return newProblem(415, "Content-Type %s is not taken: use application/x-www-form-urlencoded or application/json", quote(media))
	}
}

// longestPair is how many bytes a pair takes at most, however it is written: a
// byte of a key may take six. The rest is for blanks.
func (in *Ingress) longestPair() int { return 6*in.MaxKeyBytes + 4<<10 }

// mediaType is the Content-Type without what follows it.
func mediaType(ctx *fasthttp.RequestCtx) []byte {
	media, _, _ := bytes.Cut(ctx.Request.Header.ContentType(), []byte{';'})
	return bytes.TrimSpace(media)
}

// ackMode is what the request asks to wait for, which it may say more than once
// as long as it says the same.
func (in *Ingress) ackMode(ctx *fasthttp.RequestCtx, p *pair) (piccolo.Ack, *problem) {
	said, hasAck := p.ack, p.hasAck
	for header, name := range ctx.Request.Header.All() {
		if string(header) != ackHeader {
			continue
		}
		if hasAck && !bytes.Equal(name, said) {
			return 0, bad(ackHeader, "is both %s and %s", quote(said), quote(name))
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
	return 0, bad(ackHeader, "is none of memory, stored, applied: %s", quote(said))
}
