package ingress

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

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
