package ingress

import (
	"bytes"
	"io"
	"time"

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
	var keys []string
	n, refusal := in.take(ctx, func(b *bulk) (err error) {
		if ack == piccolo.AckApplied {
			keys = b.distinct()
		}
		traced := in.traces.begin(ctx)
		batches, err = in.countAll(b, ack)
		traced.counted(batches...)
		return err
	})
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	receipt := make(piccolo.Receipt, len(batches))
	for i, p := range batches {
		receipt[i] = p.id
	}
	patience := time.Now().Add(in.AckTimeout)
	held := in.await(ack, batches...)
	numbers := in.totals(patience, held, keys, receipt)
	in.replies.acked(held, begun)
	replyMany(ctx, held, countedMany{Receipt: receipt.String(), Counted: n, Numbers: numbers})
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
