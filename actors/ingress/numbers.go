package ingress

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// number serves GET /v1/numbers/{key}: the committed value of a key, once the
// batches named by ?after=RECEIPT are in it.
func (in *Ingress) number(ctx *fasthttp.RequestCtx, path, query []byte) {
	key, refusal := pathKey(path)
	var s selection
	if refusal == nil {
		refusal = s.parse(query, "after")
	}
	if refusal == nil {
		s.keys = []string{string(key)}
		refusal = s.check()
	}
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	timeout, cancel := context.WithTimeout(context.Background(), in.AckTimeout)
	defer cancel()
	values, freshness, refusal := in.values(timeout, &s)
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	value, ok := values[s.keys[0]]
	if !ok {
		in.fail(ctx, newProblem(404, "key %s was never counted, or was removed", quote(key)))
		return
	}
	in.answer(ctx, struct {
		number
		FreshnessMS float64 `json:"freshness_ms"`
	}{newNumber(piccolo.Number{Key: s.keys[0], Value: value}), freshness})
}

// numbers serves GET /v1/numbers: the committed values of many keys, or a page
// of them.
func (in *Ingress) numbers(ctx *fasthttp.RequestCtx, _, query []byte) {
	var s selection
	refusal := s.parse(query, "key", "prefix", "limit", "after", "order")
	if refusal == nil {
		refusal = s.check()
	}
	switch {
	case refusal != nil:
	case len(s.keys) > 0:
		refusal = in.many(ctx, &s)
	default:
		refusal = in.page(ctx, &s)
	}
	if refusal != nil {
		in.fail(ctx, refusal)
	}
}

// many answers with the keys in the order in which they were asked for, and
// with those that were never counted by themselves: none has a value that it
// does not have.
func (in *Ingress) many(ctx *fasthttp.RequestCtx, s *selection) *problem {
	timeout, cancel := context.WithTimeout(context.Background(), in.AckTimeout)
	defer cancel()
	values, freshness, refusal := in.values(timeout, s)
	if refusal != nil {
		return refusal
	}
	found, missing := pick(s.keys, values)
	in.answer(ctx, struct {
		Numbers     []number `json:"numbers"`
		Missing     []string `json:"missing"`
		FreshnessMS float64  `json:"freshness_ms"`
	}{found, missing, freshness})
	return nil
}

// pick puts the values of keys into their order, and those that have none aside.
// Neither is nil.
func pick(keys []string, values map[string]int64) (found []number, missing []string) {
	found, missing = []number{}, []string{}
	for _, key := range keys {
		if value, ok := values[key]; ok {
			found = append(found, newNumber(piccolo.Number{Key: key, Value: value}))
		} else {
			missing = append(missing, key)
		}
	}
	return found, missing
}

// page answers with a page that is merged from those of all writers.
func (in *Ingress) page(ctx *fasthttp.RequestCtx, s *selection) *problem {
	timeout, cancel := context.WithTimeout(context.Background(), in.AckTimeout)
	defer cancel()
	merged, err := in.readPage(timeout, s.page)
	if err != nil {
		return in.unreadable(err, "")
	}
	numbers := make([]number, len(merged.Numbers))
	for i, n := range merged.Numbers {
		numbers[i] = newNumber(n)
	}
	next, cut := "", false
	switch {
	case merged.More && s.page.ByValue:
		cut = len(numbers) < s.page.Limit // beyond the limit there nearly always are more
	case merged.More:
		next = merged.Numbers[len(merged.Numbers)-1].Key
	}
	in.answer(ctx, struct {
		Numbers     []number `json:"numbers"`
		Next        string   `json:"next,omitempty"`
		More        bool     `json:"more,omitempty"`
		FreshnessMS float64  `json:"freshness_ms"`
	}{numbers, next, cut, merged.FreshnessMS})
	return nil
}

// readPage reads a page from all writers.
func (in *Ingress) readPage(ctx context.Context, p piccolo.Page) (merged piccolo.Answer, err error) {
	p.Of = len(in.reducers)
	answers, _, err := in.askWriters(ctx, nil, piccolo.Query{Page: &p})
	if err != nil {
		return merged, err
	}
	return merge(&p, answers), nil
}

// number is a number as clients see it. Value is exact where the client reads
// integers; ValueText is so for clients whose numbers are doubles, too.
type number struct {
	Key       string `json:"key"`
	Value     int64  `json:"value"`
	ValueText int64  `json:"value_text,string"`
}

func newNumber(n piccolo.Number) number { return number{n.Key, n.Value, n.Value} }

func (in *Ingress) answer(ctx *fasthttp.RequestCtx, reply any) {
	body, err := json.Marshal(reply)
	if err != nil {
		panic(err) // strings and numbers
	}
	in.replies.count(fasthttp.StatusOK)
	ctx.SetContentTypeBytes(jsonContentType)
	ctx.SetBody(append(body, '\n'))
}

// values reads keys, of any partitions, once the batches of the receipt that
// concern them are in the database.
func (in *Ingress) values(ctx context.Context, s *selection) (values map[string]int64, freshness float64, refusal *problem) {
	of := make(map[int][]string)
	var partitions []int
	for _, key := range s.keys {
		partition := piccolo.Partition(piccolo.Hash(key), len(in.reducers))
		if of[partition] == nil {
			partitions = append(partitions, partition)
		}
		of[partition] = append(of[partition], key)
	}
	var waited piccolo.Receipt
	answers, err := in.ask(ctx, partitions, func(partition int) piccolo.Query {
		receipt := s.receipt.In(partition)
		waited = append(waited, receipt...)
		in.pull(receipt)
		return piccolo.Query{Keys: of[partition], After: receipt.String()}
	})
	if err != nil {
		return nil, 0, in.unreadable(err, waited.String())
	}
	values = make(map[string]int64, len(s.keys))
	for _, a := range answers {
		freshness = max(freshness, a.FreshnessMS)
		for _, n := range a.Numbers {
			values[n.Key] = n.Value
		}
	}
	return values, freshness, nil
}

// unreadable is the refusal of a read that failed, which waited for the batches
// of a receipt.
func (in *Ingress) unreadable(err error, receipt string) *problem {
	switch {
	case errors.Is(err, context.DeadlineExceeded) && receipt != "":
		return newProblem(504, "the batch of receipt %s was not committed within %s", receipt, in.AckTimeout)
	case errors.Is(err, context.DeadlineExceeded):
		return newProblem(504, "the writer did not answer within %s", in.AckTimeout)
	}
	p := newProblem(503, "numbers cannot be read now: %v", err)
	p.retryAfter = time.Second
	return p
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

// merge makes one page of the pages of all writers. A key that two of them have
// counts once. Where a writer has more than it answered, nothing is known of
// what comes behind its last number, so the page ends there.
func merge(p *piccolo.Page, answers []piccolo.Answer) (merged piccolo.Answer) {
	var end *piccolo.Number
	seen := make(map[string]bool)
	for _, a := range answers {
		merged.FreshnessMS = max(merged.FreshnessMS, a.FreshnessMS)
		for i := range a.Numbers {
			if n := a.Numbers[i]; !seen[n.Key] {
				seen[n.Key] = true
				merged.Numbers = append(merged.Numbers, n)
			}
		}
		if last := len(a.Numbers) - 1; a.More && last >= 0 {
			merged.More = true
			if end == nil || p.Compare(a.Numbers[last], *end) < 0 {
				end = &a.Numbers[last]
			}
		}
	}
	slices.SortFunc(merged.Numbers, p.Compare)
	keep := min(len(merged.Numbers), p.Limit)
	for end != nil && keep > 1 && p.Compare(merged.Numbers[keep-1], *end) > 0 {
		keep--
	}
	if keep < len(merged.Numbers) {
		merged.Numbers, merged.More = merged.Numbers[:keep], true
	}
	return merged
}
