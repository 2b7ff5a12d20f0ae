package ingress

import (
	"bytes"
	"errors"

	"github.com/valyala/fasthttp"
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
		refusal := newProblem(415, "Content-Encoding %s is not taken for one number: send it as it is, or many increments to POST /v1/increments", quote(encoding))
		refusal.acceptEncoding = "identity"
		return refusal
	}
	body, refusal := in.readPair(ctx, buf)
	if refusal != nil {
		return refusal
	}
	switch media := mediaType(ctx); {
	case len(body) == 0 && (ctx.IsDelete() || p.hasKey || p.hasValue):
		return nil // the query says it, whatever the body would be
	case bytes.EqualFold(media, []byte("application/json")):
		return p.parseObject(body)
	case len(media) == 0, bytes.EqualFold(media, []byte("application/x-www-form-urlencoded")):
		refusal := p.parseForm(body, false)
		if refusal != nil && looksLikeJSON(body) {
			refusal.Detail += "; it looks like JSON, which takes Content-Type: application/json"
		}
		return refusal
	default:
		return newProblem(415, "Content-Type %s is not taken: use application/x-www-form-urlencoded or application/json", quote(media))
	}
}

// longestPair is how many bytes a pair takes at most, however it is written: a
// byte of a key may take six. The rest is for blanks.
func (in *Ingress) longestPair() int { return 6*in.MaxKeyBytes + 4<<10 }

// readPair reads the body of a request for one number. A body that is longer than
// a pair may be is read, too, unless it is very long: it is refused for what is in
// it, such as a key that is too long. What of it has come, beyond what a pair may
// have, then takes from what bodies with many increments may take together.
func (in *Ingress) readPair(ctx *fasthttp.RequestCtx, buf *[]byte) ([]byte, *problem) {
	limit := min(in.MaxBody, max(in.longestPair(), maxUnread))
	var taken int64
	defer func() { _ = in.memory.resize(&taken, 0) }()
	body, err := readAll(ctx, *buf, limit, func(size int) error {
		if size <= in.longBody() {
			return nil
		}
		return in.memory.resize(&taken, int64(size))
	})
	if cap(body) <= in.longBody() {
		*buf = body // to be used again
	}
	if errors.Is(err, errCrowded) {
		return nil, unavailable(err)
	}
	if err != nil {
		return nil, in.unread(err, limit)
	}
	return body, nil
}

// longBody is how many bytes the buffer of a pair may have; it grows by leaps.
func (in *Ingress) longBody() int { return 2 * in.longestPair() }

// looksLikeJSON says whether a body that is to be a form begins as JSON does: curl
// says form unless it is told.
func looksLikeJSON(body []byte) bool {
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// mediaType is the Content-Type without what follows it.
func mediaType(ctx *fasthttp.RequestCtx) []byte {
	media, _, _ := bytes.Cut(ctx.Request.Header.ContentType(), []byte{';'})
	return bytes.TrimSpace(media)
}
