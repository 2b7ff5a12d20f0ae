package ingress

import (
	"encoding/json"
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
			ctx.Response.SwapBody(appendReply(body, held, c.batch.receipt, &total))
			return
		}
	}
	// Many replies say the same.
	ctx.Response.SetBodyRaw(c.batch.replies[held])
}

// appendReply appends the body of the reply to one increment to dst, with the
// key's total where that is known. Invariant: as every number of every reply it
// comes as text, too.
func appendReply(dst []byte, held piccolo.Ack, receipt []byte, total *int64) []byte {
	dst = append(dst, `{"ack":"`...)
	dst = append(dst, ackBytes[held]...)
	dst = append(dst, `","receipt":"`...)
	dst = append(dst, receipt...)
	dst = append(dst, '"')
	if total != nil {
		dst = append(dst, `,"value":`...)
		dst = strconv.AppendInt(dst, *total, 10)
		dst = append(dst, `,"value_text":"`...)
		dst = strconv.AppendInt(dst, *total, 10)
		dst = append(dst, '"')
	}
	return append(dst, "}\n"...)
}

// countedMany is what the reply to many increments says.
type countedMany struct {
	Ack      string   `json:"ack"`
	Receipt  string   `json:"receipt"`
	Counted  int      `json:"counted"`            // increments
	Numbers  []number `json:"numbers,omitzero"`   // the totals after the commit; nil where they are not told
	Conflict bool     `json:"conflict,omitempty"` // the rest is not counted: the Idempotency-Key stood for something else
}

// replyMany replies to many increments, for which held holds.
func replyMany(ctx *fasthttp.RequestCtx, held piccolo.Ack, c countedMany) {
	c.Ack = held.String()
	replyHead(ctx, held, []byte(c.Receipt))
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers
	}
	ctx.Response.SwapBody(append(body, '\n'))
}
