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
	if ctx.Request.Header.Peek(idempotencyHeader) != nil {
		// To ignore it would be to count a retry twice.
		in.fail(ctx, newProblem(501, "%s is not supported: nothing was counted, send the increment without it", idempotencyHeader))
		return
	}
	var p pair
	value, problem := in.decode(ctx, query, &p)
	if problem != nil {
		in.fail(ctx, problem)
		return
	}
	ack, problem := in.ackMode(ctx, &p)
	if problem != nil {
		in.fail(ctx, problem)
		return
	}
	counted, err := in.Count(p.key, value, ack)
	if err != nil {
		in.fail(ctx, unavailable(err))
		return
	}
	held := counted.Wait()
	in.replies.acked(held, ctx.Time())
	in.reply(ctx, counted, held, p.key)
}

func (in *Ingress) decode(ctx *fasthttp.RequestCtx, query []byte, p *pair) (value int64, problem *problem) {
	if problem = p.parseForm(query, true); problem != nil {
		return 0, problem
	}
	body := ctx.PostBody()
	media, _, _ := bytes.Cut(ctx.Request.Header.ContentType(), []byte{';'})
	switch media = bytes.TrimSpace(media); {
	case bytes.EqualFold(media, []byte("application/json")):
		problem = p.parseObject(body)
	case len(media) == 0, bytes.EqualFold(media, []byte("application/x-www-form-urlencoded")):
		problem = p.parseForm(body, false)
	default:
		problem = newProblem(415, "Content-Type %s is not taken: use application/x-www-form-urlencoded or application/json", quote(media))
	}
	if problem != nil {
		return 0, problem
	}
	return p.increment(in.MaxKeyBytes)
}

const (
	ackHeader         = "Piccolo-Ack"
	idempotencyHeader = "Idempotency-Key"
)

// ackMode is what the request asks to wait for, which it may say more than once
// as long as it says the same.
func (in *Ingress) ackMode(ctx *fasthttp.RequestCtx, p *pair) (piccolo.Ack, *problem) {
	said, has := p.ack, p.hasAck
	for _, name := range ctx.Request.Header.PeekAll(ackHeader) {
		if has && !bytes.Equal(name, said) {
			return 0, bad(ackHeader, "is both %s and %s", quote(said), quote(name))
		}
		said, has = name, true
	}
	if !has {
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
// ack timeout passes or the process has to stop first. The increment counts
// all the same.
func (in *Ingress) await(p *pending, ack piccolo.Ack) piccolo.Ack {
	if ack == piccolo.AckMemory {
		return ack
	}
	p.wait()
	outcome := p.stored
	if ack == piccolo.AckApplied {
		outcome = p.applied
	}
	select {
	case <-outcome:
		return ack
	case <-in.patience.ends():
	}
	select {
	case <-p.stored:
		return piccolo.AckStored
	default:
		return piccolo.AckMemory
	}
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

// reply says what holds, names the batch, and, after the commit, the total.
func (in *Ingress) reply(ctx *fasthttp.RequestCtx, c Counted, held piccolo.Ack, key []byte) {
	ctx.SetStatusCode(status(held))
	h := &ctx.Response.Header
	h.SetContentTypeBytes(jsonContentType)
	h.SetCanonical(ackHeaderBytes, ackBytes[held])
	h.SetCanonical(receiptHeaderBytes, c.batch.receipt)
	if held == piccolo.AckApplied {
		if total, ok := c.Total(key); ok {
			body := ctx.Response.SwapBody(nil)[:0]
			ctx.Response.SwapBody(appendReply(body, held, c.batch.receipt, &total))
			return
		}
	}
	// Many replies say the same.
	ctx.Response.SetBodyRaw(c.batch.replies[held])
}

// appendReply appends the body of a reply to dst.
func appendReply(dst []byte, held piccolo.Ack, receipt []byte, total *int64) []byte {
	dst = append(dst, `{"ack":"`...)
	dst = append(dst, ackBytes[held]...)
	dst = append(dst, `","receipt":"`...)
	dst = append(dst, receipt...)
	dst = append(dst, '"')
	if total != nil {
		dst = append(dst, `,"value":`...)
		dst = strconv.AppendInt(dst, *total, 10)
	}
	return append(dst, "}\n"...)
}
