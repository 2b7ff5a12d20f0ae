package ingress

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

var (
	// ErrConflict refuses an Idempotency-Key that stands for other increments. Like
	// ErrNoMessage it is for callers of CountOnce.
	ErrConflict = errors.New("the key was used for other increments")
	// ErrNoMessage refuses a request whose part for a partition fits into no
	// message.
	ErrNoMessage = errors.New("the request does not fit into a message")
)

// idempotencyKey is the request's Idempotency-Key, nil where it has none.
func idempotencyKey(ctx *fasthttp.RequestCtx) ([]byte, *problem) {
	keys := ctx.Request.Header.PeekAll(idempotencyHeader)
	if len(keys) == 0 {
		return nil, nil
	}
	if len(keys) > 1 {
		return nil, bad(idempotencyHeader, "is given twice: %s and %s", quote(keys[0]), quote(keys[1]))
	}
	if err := piccolo.CheckIdempotencyKey(keys[0]); err != nil {
		return nil, bad(idempotencyHeader, "%v: %s", err, quote(keys[0]))
	}
	return keys[0], nil
}

// incrementOnce serves POST /increment with an Idempotency-Key.
func (in *Ingress) incrementOnce(ctx *fasthttp.RequestCtx, key []byte, value int64, ack piccolo.Ack, begun time.Time) {
	idempotency, refusal := idempotencyKey(ctx)
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	increment := piccolo.Increment{Key: string(key), Value: value}
	traced := in.traces.begin(ctx)
	c, err := in.CountOnce(idempotency, []piccolo.Increment{increment}, ack)
	traced.counted(c.joined()...)
	if err != nil {
		in.fail(ctx, in.uncounted(err))
		return
	}
	held := c.Wait()
	if p := conflict(c, held); p != nil {
		in.fail(ctx, p)
		return
	}
	receipt := []byte(c.Receipt().String())
	replyHead(ctx, held, receipt)
	var total *int64
	if held == piccolo.AckApplied {
		if t, ok := c.Total(increment.Key); ok {
			total = &t
		}
	}
	ctx.Response.SwapBody(appendReply(ctx.Response.SwapBody(nil)[:0], held, receipt, total))
	in.countReply(c, held, begun)
}

// countReply counts a reply to a request with an Idempotency-Key: a repeat that
// went nowhere is no increment.
func (in *Ingress) countReply(c *CountedOnce, held piccolo.Ack, begun time.Time) {
	if c.Repeat() {
		in.replies.count(status(held))
		return
	}
	in.replies.acked(held, begun)
}

// incrementsOnce serves POST /v1/increments with an Idempotency-Key. Where the
// key stood for something else in some partitions only, the others have counted
// their part: that is a 2xx, which says so.
func (in *Ingress) incrementsOnce(ctx *fasthttp.RequestCtx, idempotency []byte, ack piccolo.Ack, begun time.Time) {
	var c *CountedOnce
	var keys []string
	n, refusal := in.take(ctx, func(b *bulk) (err error) {
		if ack == piccolo.AckApplied {
			keys = b.distinct()
		}
		traced := in.traces.begin(ctx)
		c, err = in.countBulkOnce(b, idempotency, ack)
		traced.counted(c.joined()...)
		return err
	})
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	patience := time.Now().Add(in.AckTimeout)
	held := c.Wait()
	if p := conflict(c, held); p != nil {
		in.fail(ctx, p)
		return
	}
	skipped := 0
	if held == piccolo.AckApplied {
		_, skipped = c.skipped()
	}
	receipt := c.Receipt()
	replyMany(ctx, held, countedMany{
		Receipt: receipt.String(), Counted: n - skipped, Conflict: skipped > 0, Numbers: in.totals(patience, held, keys, receipt),
	})
	in.countReply(c, held, begun)
}

// countBulkOnce counts what a request with many increments and an
// Idempotency-Key brings.
func (in *Ingress) countBulkOnce(b *bulk, idempotency []byte, ack piccolo.Ack) (*CountedOnce, error) {
	parts := newParts(idempotency)
	for _, lot := range b.touched {
		for i := range b.lots[lot] {
			item := &b.lots[lot][i]
			parts.add(in.Partitions, b.key(item), item.hash, item.value, false)
		}
	}
	if ack == piccolo.AckApplied {
		for _, o := range parts.byPartition {
			o.Deltas[0].WantTotal = true // of one key: that is enough for the writer to hurry
		}
	}
	return in.countOnce(parts, ack)
}

// parts are what a request with an Idempotency-Key adds in each partition.
type parts struct {
	token       piccolo.Token
	payload     piccolo.Payload
	byPartition map[int]*piccolo.Once
	at          map[string]int // where the last delta of a key is in its partition's
}

func newParts(idempotency []byte) *parts {
	return &parts{
		token:       piccolo.NewToken(idempotency),
		byPartition: make(map[int]*piccolo.Once, 1),
		at:          make(map[string]int, 1),
	}
}

// add adds an increment. key may be reused by the caller.
func (p *parts) add(partitions int, key []byte, hash uint64, value int64, wantTotal bool) {
	partition := piccolo.Partition(hash, partitions)
	o := p.byPartition[partition]
	if o == nil {
		o = &piccolo.Once{Claim: piccolo.Claim{Token: p.token}}
		p.byPartition[partition] = o
	}
	o.Increments++
	i, ok := p.at[string(key)]
	if ok {
		p.payload.Add(o.Deltas[i].Key, value)
		if sum, ok := piccolo.Add(o.Deltas[i].Value, value); ok {
			o.Deltas[i].Value = sum
			return
		}
	}
	d := piccolo.Delta{Key: string(key), Value: value, WantTotal: wantTotal}
	if !ok {
		p.payload.Add(d.Key, value)
	}
	p.at[d.Key] = len(o.Deltas)
	o.Deltas = append(o.Deltas, d)
}

// claim is what the request is to stand for. Every part has it from now on.
func (p *parts) claim() piccolo.Claim {
	c := piccolo.Claim{Token: p.token, Payload: p.payload.Sum()}
	for _, o := range p.byPartition {
		o.Claim = c
	}
	return c
}

// uncounted is the refusal of increments that were not counted.
func (in *Ingress) uncounted(err error) *problem {
	switch {
	case errors.Is(err, ErrConflict):
		return conflicting()
	case errors.Is(err, ErrNoMessage):
		return newProblem(413, "with an %s, what a request adds must fit into one message of %d bytes: send it in parts, each under a key of its own", idempotencyHeader, in.MaxMessage)
	}
	return unavailable(err)
}

// conflict is the refusal of a request of which the writer has counted nothing,
// since its key stands for other increments. Invariant: what is refused was not
// counted, in any partition.
func conflict(c *CountedOnce, held piccolo.Ack) *problem {
	if held != piccolo.AckApplied {
		return nil
	}
	if n := c.Conflicts(); n == 0 || n < len(c.batches) {
		return nil
	}
	return conflicting()
}

func conflicting() *problem {
	p := newProblem(422, "%s was used before, for other increments, which have been counted: nothing of this request was counted. A retry sends the same again, anything else takes a key of its own",
		idempotencyHeader)
	p.Field = idempotencyHeader
	return p
}
