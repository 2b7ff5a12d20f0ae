package ingress

import (
	"bytes"
	"io"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// increments serves POST /v1/increments: many pairs as NDJSON, as a JSON array
// or as a form. All are counted, or none.
func (in *Ingress) increments(ctx *fasthttp.RequestCtx, _, query []byte) {
	begun := in.replies.begun()
	ack, refusal := in.ackOfMany(ctx, query)
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	idempotency, refusal := idempotencyKey(ctx)
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	if idempotency != nil {
		in.incrementsOnce(ctx, idempotency, ack, begun)
		return
	}
	var batches []*pending
	n, refusal := in.take(ctx, func(b *bulk) (err error) {
		traced := in.traces.begin(ctx)
		batches, err = in.countAll(b, ack)
		traced.counted(batches...)
		return err
	})
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	held := in.await(ack, batches...)
	in.replies.acked(held, begun)
	receipt := make(piccolo.Receipt, len(batches))
	for i, p := range batches {
		receipt[i] = p.id
	}
	replyMany(ctx, []byte(receipt.String()), n, held)
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

// take decodes the body, all of it, and has its n increments counted. What it
// needs for that is given back before the reply is waited for.
func (in *Ingress) take(ctx *fasthttp.RequestCtx, count func(*bulk) error) (n int, refusal *problem) {
	limit := min(in.MaxBody, maxBulk)
	src, err := newWire(ctx, limit)
	if err != nil {
		return 0, in.unread(err, limit)
	}
	t := in.openIntake()
	defer t.close()
	if refusal := t.readEncoded(&src, contentEncoding(ctx), mediaType(ctx), limit); refusal != nil {
		return 0, refusal
	}
	_ = ctx.Request.CloseBodyStream() // it has been read to its end
	if t.bulk.count == 0 {
		return 0, newProblem(400, "the body has no increments")
	}
	if err := count(t.bulk); err != nil {
		return 0, in.uncounted(err)
	}
	return t.bulk.count, nil
}

// read reads the increments of a body of a media type.
func (t *intake) read(src io.Reader, media []byte) *problem {
	t.window.reset(src)
	is := func(name string) bool { return bytes.EqualFold(media, []byte(name)) }
	switch {
	case is("application/x-ndjson"), is("application/ndjson"), is("application/jsonl"):
		return t.lines()
	case is("application/json"):
		return t.array()
	case len(media) == 0, is("application/x-www-form-urlencoded"):
		return t.pairs()
	}
	return newProblem(415, "Content-Type %s is not taken: use application/x-ndjson, application/json or application/x-www-form-urlencoded", quote(media))
}

// replyMany says what holds, names the batches, and says how many increments
// they carry.
func replyMany(ctx *fasthttp.RequestCtx, receipt []byte, n int, held piccolo.Ack) {
	replyHead(ctx, held, receipt)
	ctx.Response.SwapBody(appendReply(ctx.Response.SwapBody(nil)[:0], held, receipt, "counted", int64(n)))
}
