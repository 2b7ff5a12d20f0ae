package ingress

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// number serves GET /v1/numbers/{key}: the committed value of a key, once the
// batches named by ?after=RECEIPT are in it.
func (in *Ingress) number(ctx *fasthttp.RequestCtx, path, query []byte) {
	key, problem := unescape("key", path, '+') // in a path, + is itself
	if problem == nil {
		if err := piccolo.CheckKey(key, in.MaxKeyBytes); err != nil {
			problem = bad("key", "%v: %s", err, quote(key))
		}
	}
	if problem != nil {
		in.fail(ctx, problem)
		return
	}
	partition := piccolo.Partition(piccolo.Hash(key), len(in.reducers))
	q := piccolo.Query{Key: string(key)}
	for name := range ctx.QueryArgs().All() {
		if string(name) != "after" {
			in.fail(ctx, newProblem(400, "parameter %s is unknown: want after", quote(name)))
			return
		}
	}
	if after := ctx.QueryArgs().Peek("after"); after != nil {
		receipt, err := piccolo.ParseReceipt(string(after))
		if err != nil {
			in.fail(ctx, bad("after", "is not a receipt: %s", quote(after)))
			return
		}
		receipt = receipt.In(partition)
		q.After = receipt.String()
		in.pull(receipt)
	}
	timeout, cancel := context.WithTimeout(context.Background(), in.AckTimeout)
	defer cancel()
	answer, err := in.Reader.Query(timeout, partition, q)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && q.After != "":
		in.fail(ctx, newProblem(504, "the batch of receipt %s was not committed within %s", q.After, in.AckTimeout))
	case errors.Is(err, context.DeadlineExceeded):
		in.fail(ctx, newProblem(504, "the writer did not answer within %s", in.AckTimeout))
	case err != nil:
		p := newProblem(503, "the value cannot be read now: %v", err)
		p.retryAfter = time.Second
		in.fail(ctx, p)
	case !answer.Found:
		in.fail(ctx, newProblem(404, "key %s was never counted", quote(key)))
	default:
		in.replies.count(fasthttp.StatusOK)
		body, err := json.Marshal(struct {
			Key         string  `json:"key"`
			Value       int64   `json:"value"`
			FreshnessMS float64 `json:"freshness_ms"`
		}{answer.Key, answer.Value, answer.FreshnessMS})
		if err != nil {
			panic(err) // strings and numbers
		}
		ctx.SetContentType("application/json")
		ctx.SetBody(append(body, '\n'))
	}
}

// pull has what a receipt of this process names flushed, if it still waits for
// its interval.
func (in *Ingress) pull(r piccolo.Receipt) {
	for _, id := range r {
		if id.Producer != in.Producer || id.Partition >= len(in.reducers) {
			continue
		}
		if p := in.reducers[id.Partition].tail.Load(); p.id.Seq == id.Seq {
			p.wait()
		}
	}
}
