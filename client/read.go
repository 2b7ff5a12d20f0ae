package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Number is a key and its committed total.
type Number struct {
	Key   string `json:"key"`
	Value int64  `json:"value"`
}

// Numbers is a reply with many.
type Numbers struct {
	Numbers []Number
	Missing []string // of the keys that were asked for, those never counted
	// Freshness is how old an increment may be that is stored and not in the
	// numbers yet; 0 where there is none.
	Freshness time.Duration
}

type listReply struct {
	Numbers     []Number `json:"numbers"`
	Missing     []string `json:"missing"`
	Next        string   `json:"next"`
	FreshnessMS float64  `json:"freshness_ms"`
}

func (l *listReply) freshness() time.Duration { return time.Duration(l.FreshnessMS * 1e6) }

// ReadOption changes how keys are read.
type ReadOption func(url.Values)

// After waits until what a receipt is for is in the numbers: read your own
// write.
func After(receipt string) ReadOption {
	return func(q url.Values) {
		if receipt != "" {
			q.Set("after", receipt)
		}
	}
}

// Get reads a key. One never counted is ErrNotFound.
func (c *Client) Get(ctx context.Context, key string, options ...ReadOption) (n Number, err error) {
	q := url.Values{}
	for _, option := range options {
		option(q)
	}
	return n, c.do(ctx, &call{method: http.MethodGet, path: withQuery(keyPath(key), q), again: true}, &n)
}

// maxURL keeps the path of a request well below what the server takes as
// headers, 8 KiB.
const maxURL = 4 << 10

// GetAll reads keys, however many. They come in the order in which they were
// asked for, without those never counted.
func (c *Client) GetAll(ctx context.Context, keys []string, options ...ReadOption) (all Numbers, err error) {
	q := url.Values{}
	for _, option := range options {
		option(q)
	}
	for len(keys) > 0 {
		var path strings.Builder
		path.WriteString("/v1/numbers?" + q.Encode())
		n := 0
		for ; n < len(keys) && (n == 0 || path.Len() < maxURL && n < 1000); n++ {
			path.WriteString("&key=" + url.QueryEscape(keys[n]))
		}
		var reply listReply
		if err := c.do(ctx, &call{method: http.MethodGet, path: path.String(), again: true}, &reply); err != nil {
			return all, err
		}
		all.Numbers = append(all.Numbers, reply.Numbers...)
		all.Missing = append(all.Missing, reply.Missing...)
		all.Freshness = max(all.Freshness, reply.freshness())
		keys = keys[n:]
	}
	return all, nil
}

// List reads all numbers whose keys start with a prefix, in the order of their
// keys, page by page as they are ranged over. After an error there is nothing
// more.
func (c *Client) List(ctx context.Context, prefix string) iter.Seq2[Number, error] {
	return func(yield func(Number, error) bool) {
		q := url.Values{"prefix": {prefix}, "limit": {"1000"}}
		for {
			var reply listReply
			if err := c.do(ctx, &call{method: http.MethodGet, path: withQuery("/v1/numbers", q), again: true}, &reply); err != nil {
				yield(Number{}, err)
				return
			}
			for _, n := range reply.Numbers {
				if !yield(n, nil) {
					return
				}
			}
			if reply.Next == "" {
				return
			}
			q.Set("after", reply.Next)
		}
	}
}

// Top reads the largest numbers whose keys start with a prefix, at most 1000,
// the largest first. The list is shared among readers and may be some seconds
// old: see its Freshness.
func (c *Client) Top(ctx context.Context, prefix string, limit int) (Numbers, error) {
	q := url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(limit)}, "order": {"value"}}
	var reply listReply
	err := c.do(ctx, &call{method: http.MethodGet, path: withQuery("/v1/numbers", q), again: true}, &reply)
	return Numbers{Numbers: reply.Numbers, Freshness: reply.freshness()}, err
}

// keyPath is the path of a key. Dots are escaped, since a key may be "..".
func keyPath(key string) string {
	return "/v1/numbers/" + strings.ReplaceAll(url.PathEscape(key), ".", "%2E")
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
