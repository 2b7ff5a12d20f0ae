package ingress

import (
	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// replace serves PUT and DELETE /v1/numbers/{key}, which set and remove a key.
// They do so at their place in the stream: what was stored before they were
// sent is overwritten, and what is sent after their reply counts on top.
func (in *Ingress) replace(ctx *fasthttp.RequestCtx, path, query []byte) {
	key, refusal := pathKey(path)
	if refusal == nil {
		refusal = in.checkReplaced(ctx, key)
	}
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	body, _ := in.bodies.Get().(*[]byte)
	if body == nil {
		body = new([]byte)
	}
	defer in.bodies.Put(body)
	var p pair
	d, refusal := in.decodeReplace(ctx, query, body, &p)
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	ack, refusal := in.ackOfReplace(ctx, &p)
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	d.WantTotal = ack == piccolo.AckApplied
	traced := in.traces.begin(ctx)
	counted, err := in.Set(key, d, ack)
	traced.counted(counted.batch)
	if err != nil {
		in.fail(ctx, unavailable(err))
		return
	}
	held := counted.Wait()
	in.replies.count(status(held))
	in.reply(ctx, counted, held, key)
}

// pathKey reads the key that a path ends with.
func pathKey(path []byte) ([]byte, *problem) {
	return unescape("key", path, '+') // in a path, + is itself
}

// checkReplaced refuses a key that may not be set, or removed. What may be set is
// what may be counted. What may be removed is whatever may be there: keys were
// longer, or were brought along, and only have to fit into a message.
func (in *Ingress) checkReplaced(ctx *fasthttp.RequestCtx, key []byte) *problem {
	if !ctx.IsDelete() {
		return checkKey(key, in.MaxKeyBytes)
	}
	longest := in.MaxMessage - piccolo.MaxHeaderSize - piccolo.MaxDeltaSize(0)
	if err := piccolo.CheckKey(key, longest); err != nil {
		return bad("key", "%v: %s", err, quote(key))
	}
	return nil
}

// decodeReplace reads what is to become of a key: a PUT has a value, in the
// query or in the body, and a DELETE has nothing.
func (in *Ingress) decodeReplace(ctx *fasthttp.RequestCtx, query []byte, buf *[]byte, p *pair) (d piccolo.Delta, refusal *problem) {
	if has(ctx, idempotencyHeader) {
		return d, bad(idempotencyHeader, "is for increments: this may be sent again without one, and is then done again")
	}
	if refusal := in.decodeFields(ctx, query, buf, p); refusal != nil {
		return d, refusal
	}
	switch {
	case p.hasKey:
		return d, bad("key", "stands in the path: leave it out of query and body")
	case ctx.IsDelete() && p.hasValue:
		return d, bad("value", "is given, and there is none to what removes a key: use PUT to set it")
	case ctx.IsDelete():
		return piccolo.Delta{Op: piccolo.OpRemove}, nil
	case !p.hasValue:
		return d, bad("value", "is missing")
	}
	n, refusal := parseValue(p.value)
	return piccolo.Delta{Value: n, Op: piccolo.OpSet}, refusal
}

// Set has a key set or removed, as d says; the reply is to wait for ack. After
// an error it is not. key may be reused by the caller.
func (in *Ingress) Set(key []byte, d piccolo.Delta, ack piccolo.Ack) (Counted, error) {
	if err := in.refuse.Load(); err != nil {
		return Counted{}, *err
	}
	r := in.reducers[piccolo.Partition(piccolo.Hash(key), len(in.reducers))]
	d.WantTotal = ack == piccolo.AckApplied
	batch, err := r.set(key, d)
	return Counted{in, batch, ack}, err
}
