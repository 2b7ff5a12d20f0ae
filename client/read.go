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

// Reading is a number as it was read.
type Reading struct {
	Number
	// Freshness is how old an increment may be that is stored and not in the
	// number yet; 0 where there is none.
	Freshness time.Duration
}

// Numbers is a reply with many.
type Numbers struct {
	Numbers   []Number
	Missing   []string      // of the keys that were asked for, those never counted, or removed
	More      bool          // of a Top, that it is shorter than its limit, and there are more
	Freshness time.Duration // as of a Reading, of the oldest
}

type listReply struct {
	Numbers     []Number     `json:"numbers"`
	Missing     []string     `json:"missing"`
	Next        string       `json:"next"`
	More        bool         `json:"more"`
	FreshnessMS milliseconds `json:"freshness_ms"`
}

// milliseconds is a duration as replies have it.
type milliseconds float64

func (ms milliseconds) duration() time.Duration { return time.Duration(float64(ms) * 1e6) }

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

// Get reads a key. One never counted, or removed, is ErrNotFound.
func (c *Client) Get(ctx context.Context, key string, options ...ReadOption) (Reading, error) {
	q := url.Values{}
	for _, option := range options {
		option(q)
	}
	var reply struct {
		Number
		FreshnessMS milliseconds `json:"freshness_ms"`
	}
	err := c.do(ctx, &call{method: http.MethodGet, path: withQuery(keyPath(key), q), again: true}, &reply)
	return Reading{reply.Number, reply.FreshnessMS.duration()}, err
}

// maxURL keeps the path of a request well below what the server takes as
// headers, 8 KiB.
const maxURL = 4 << 10

// GetAll reads keys, however many. They come in the order in which they were
// asked for, each once, without those never counted, or removed.
func (c *Client) GetAll(ctx context.Context, keys []string, options ...ReadOption) (all Numbers, err error) {
	q := url.Values{}
	for _, option := range options {
		option(q)
	}
	for keys = unique(keys); len(keys) > 0; {
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
		all.Freshness = max(all.Freshness, reply.FreshnessMS.duration())
		keys = keys[n:]
	}
	return all, nil
}

// unique is keys without those that are there before.
func unique(keys []string) (found []string) {
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		if !seen[key] {
			seen[key] = true
			found = append(found, key)
		}
	}
	return found
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
// old: see its Freshness. Where keys are long it may be cut short: see More.
func (c *Client) Top(ctx context.Context, prefix string, limit int) (Numbers, error) {
	q := url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(limit)}, "order": {"value"}}
	var reply listReply
	err := c.do(ctx, &call{method: http.MethodGet, path: withQuery("/v1/numbers", q), again: true}, &reply)
	return Numbers{Numbers: reply.Numbers, More: reply.More, Freshness: reply.FreshnessMS.duration()}, err
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
