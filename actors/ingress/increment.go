package ingress

import (
	"bytes"
	"errors"
	"strconv"
	"time"

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

// unavailable is the 503 for what could not be counted.
func unavailable(err error) *problem {
	detail := "nothing was counted: "
	switch {
	case errors.Is(err, piccolo.ErrBusy):
		detail += "as many distinct keys wait in memory as may"
	case errors.Is(err, piccolo.ErrFull):
		detail += "the stream is full, the writer is behind or away"
	default:
		detail += err.Error()
	}
	p := newProblem(503, "%s", detail)
	p.retryAfter = time.Second
	return p
}

// await waits for as much as ack asks and returns what holds: less, when the
// ack timeout passes or the process has to stop first. The increments count all
// the same.
func (in *Ingress) await(ack piccolo.Ack, batches ...*pending) piccolo.Ack {
	if ack == piccolo.AckMemory {
		return ack
	}
	for _, p := range batches {
		p.wait()
	}
	patience := in.patience.ends()
	for _, p := range batches {
		select {
		case <-p.outcome(ack):
		case <-patience:
			return holds(batches)
		}
	}
	return ack
}

// outcome is closed when ack holds for what p carries.
func (p *pending) outcome(ack piccolo.Ack) <-chan struct{} {
	if ack == piccolo.AckApplied {
		return p.applied
	}
	return p.stored
}

// holds is what is known of all batches once nobody waits for their commit.
func holds(batches []*pending) piccolo.Ack {
	for _, p := range batches {
		select {
		case <-p.stored:
		default:
			return piccolo.AckMemory
		}
	}
	return piccolo.AckStored
}

func status(held piccolo.Ack) int {
	if held == piccolo.AckMemory {
		return fasthttp.StatusAccepted
	}
	return fasthttp.StatusOK
}

var (
	ackHeaderBytes     = []byte(ackHeader)
	receiptHeaderBytes = []byte("Piccolo-Receipt")
	jsonContentType    = []byte("application/json")
	ackBytes           = [...][]byte{
		piccolo.AckMemory:  []byte(piccolo.AckMemory.String()),
		piccolo.AckStored:  []byte(piccolo.AckStored.String()),
		piccolo.AckApplied: []byte(piccolo.AckApplied.String()),
	}
)

// replyHead says in the headers what holds, and which batches carry it.
func replyHead(ctx *fasthttp.RequestCtx, held piccolo.Ack, receipt []byte) {
	ctx.SetStatusCode(status(held))
	h := &ctx.Response.Header
	h.SetContentTypeBytes(jsonContentType)
	h.SetCanonical(ackHeaderBytes, ackBytes[held])
	h.SetCanonical(receiptHeaderBytes, receipt)
}

// reply says what holds, names the batch, and, after the commit, the total.
func (in *Ingress) reply(ctx *fasthttp.RequestCtx, c Counted, held piccolo.Ack, key []byte) {
	replyHead(ctx, held, c.batch.receipt)
	if held == piccolo.AckApplied {
		if total, ok := c.Total(key); ok {
			body := ctx.Response.SwapBody(nil)[:0]
			ctx.Response.SwapBody(appendReply(body, held, c.batch.receipt, "value", total))
			return
		}
	}
	// Many replies say the same.
	ctx.Response.SetBodyRaw(c.batch.replies[held])
}

// appendReply appends the body of a reply to dst, with a number if it has a name.
func appendReply(dst []byte, held piccolo.Ack, receipt []byte, name string, number int64) []byte {
	dst = append(dst, `{"ack":"`...)
	dst = append(dst, ackBytes[held]...)
	dst = append(dst, `","receipt":"`...)
	dst = append(dst, receipt...)
	dst = append(dst, '"')
	if name != "" {
		dst = append(dst, `,"`...)
		dst = append(dst, name...)
		dst = append(dst, `":`...)
		dst = strconv.AppendInt(dst, number, 10)
	}
	return append(dst, "}\n"...)
}
