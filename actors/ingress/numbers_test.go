package ingress_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

func (d *door) read(target string) reply {
	d.t.Helper()
	return d.send(request{method: http.MethodGet, target: target})
}

func TestNumberOfAKey(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 3 })
	d.reader.answer = func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) {
		a := value(q, -42)
		a.FreshnessMS = 1.5
		return a, nil
	}
	for _, c := range []struct{ path, key string }{
		{"foo", "foo"},
		{"a/b/c", "a/b/c"},
		{"a%2Fb", "a/b"},
		{"/a//b/", "/a//b/"},
		{"..", ".."},
		{"a/../b", "a/../b"},
		{"a+b", "a+b"},
		{"a%20b", "a b"},
		{"a%2Bb", "a+b"},
		{"%3Fa%26b%3D%25%23", "?a&b=%#"},
		{"%D0%BA%D0%BB%D1%8E%D1%87", "ключ"},
		{"%f0%9f%98%80", "😀"},
		{"%22%3C%3E%5C", `"<>\`},
		{strings.Repeat("k", 64), strings.Repeat("k", 64)},
		{strings.Repeat("k", 4<<10), strings.Repeat("k", 4<<10)}, // longer than may be counted now
		{"%20", " "}, // may not be counted either
		{"foo?after=", "foo"},
	} {
		t.Run(c.path, func(t *testing.T) {
			r := d.of(t).read("/v1/numbers/" + c.path)
			var got struct {
				Key         string   `json:"key"`
				Value       int64    `json:"value"`
				ValueText   string   `json:"value_text"`
				FreshnessMS *float64 `json:"freshness_ms"`
			}
			dec := json.NewDecoder(strings.NewReader(r.body))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&got); err != nil {
				t.Fatalf("%d %s: %v", r.status, r.body, err)
			}
			if r.status != 200 || r.header.Get("Content-Type") != "application/json" {
				t.Errorf("%d, Content-Type %q", r.status, r.header.Get("Content-Type"))
			}
			if got.Key != c.key || got.Value != -42 || got.ValueText != "-42" || got.FreshnessMS == nil || *got.FreshnessMS != 1.5 {
				t.Errorf("%s: want key %q, value -42, freshness 1.5 ms", r.body, c.key)
			}
		})
	}
	t.Run("raw bytes that are not ASCII", func(t *testing.T) {
		replies := d.of(t).raw("GET /v1/numbers/ключ HTTP/1.1\r\nHost: piccolo\r\n\r\n")
		if len(replies) != 1 || replies[0].status != 200 || !strings.Contains(replies[0].body, `"key":"ключ"`) {
			t.Errorf("%+v", replies)
		}
	})
	t.Run("HEAD", func(t *testing.T) {
		r := d.of(t).send(request{method: http.MethodHead, target: "/v1/numbers/foo"})
		if r.status != 200 || r.body != "" || r.header.Get("Content-Length") == "" {
			t.Errorf("%d %q, Content-Length %q", r.status, r.body, r.header.Get("Content-Length"))
		}
	})
}

func TestNumberIsRefused(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.reader.answer = func(context.Context, piccolo.Query) (piccolo.Answer, error) {
		return piccolo.Answer{}, errors.New("must not be asked")
	}
	for _, c := range []struct{ name, target, field, detail string }{
		{"blank key", "", "key", "is blank"},
		{"key not UTF-8", "a%FF", "key", `not valid UTF-8: "a\xff"`},
		{"key with NUL", "a%00", "key", `NUL byte: "a\x00"`},
		{"no receipt", "foo?after=yesterday", "after", `not a receipt: "yesterday"`},
		{"mistyped parameter", "foo?aftr=p.0.1", "", `parameter "aftr" is unknown`},
		{"receipt without seq", "foo?after=p.0", "after", `not a receipt: "p.0"`},
		{"receipt with seq 0", "foo?after=p.0.0", "after", `not a receipt: "p.0.0"`},
		{"receipt of a partition beyond all", "foo?after=p.1024.1", "after", `not a receipt`},
		{"one good receipt and one bad", "foo?after=p.0.1,p", "after", `not a receipt: "p.0.1,p"`},
		{"receipt with a subject's wildcard", "foo?after=*.0.1", "after", `not a receipt`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d.of(t)
			p := d.declined(d.read("/v1/numbers/"+c.target), 400)
			if p.Field != c.field || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("field %q, detail %q: want %q and %q", p.Field, p.Detail, c.field, c.detail)
			}
		})
	}
	t.Run("percent-encoding cut short", func(t *testing.T) {
		d := d.of(t)
		for _, r := range d.raw("GET /v1/numbers/a%2 HTTP/1.1\r\nHost: piccolo\r\n\r\n") {
			d.declined(r, 400)
		}
	})
}

func TestNumberThatCannotBeRead(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct {
		name   string
		target string
		answer piccolo.Answer
		err    error
		status int
		detail string
	}{
		{"never counted", "foo", piccolo.Answer{}, nil, 404, `key "foo" was never counted, or was removed`},
		{"no writer", "foo", piccolo.Answer{}, errors.New("no writer serves partition 0"), 503, "no writer serves partition 0"},
		{"no answer in time", "foo", piccolo.Answer{}, context.DeadlineExceeded, 504, "the writer did not answer within 1m0s"},
		{"not folded in time", "foo?after=p.0.7", piccolo.Answer{}, context.DeadlineExceeded, 504, "receipt p.0.7 was not committed within 1m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d.of(t)
			d.reader.answer = func(context.Context, piccolo.Query) (piccolo.Answer, error) { return c.answer, c.err }
			r := d.read("/v1/numbers/" + c.target)
			if p := d.declined(r, c.status); !strings.Contains(p.Detail, c.detail) {
				t.Errorf("detail %q: want %q", p.Detail, c.detail)
			}
			if got, want := r.header.Get("Retry-After") != "", c.status == 503; got != want {
				t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
			}
			head := d.send(request{method: http.MethodHead, target: "/v1/numbers/" + c.target})
			if head.status != c.status || head.body != "" {
				t.Errorf("HEAD: %d %q", head.status, head.body)
			}
		})
	}
}

// The wait for a receipt ends with the ack timeout, which the writer is told.
func TestNumberWaitsNoLongerThanTheAckTimeout(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.AckTimeout = 20 * time.Millisecond })
	d.reader.answer = func(ctx context.Context, _ piccolo.Query) (piccolo.Answer, error) {
		<-ctx.Done()
		return piccolo.Answer{}, ctx.Err()
	}
	d.declined(d.read("/v1/numbers/foo?after=p.0.1"), 504)
}

// A read waits for what its key's partition has of the receipt.
func TestNumberAfterReceipt(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 3 })
	partition := piccolo.Partition(piccolo.Hash("foo"), 3)
	mine := piccolo.BatchID{Producer: "q", Partition: partition, Seq: 7}.String()
	mine2 := piccolo.BatchID{Producer: "p", Partition: partition, Seq: 1}.String()
	other := piccolo.BatchID{Producer: "q", Partition: (partition + 1) % 3, Seq: 8}.String()
	for _, c := range []struct{ name, query, after string }{
		{"none", "", ""},
		{"one", "?after=" + mine, mine},
		{"percent-encoded", "?after=" + strings.ReplaceAll(mine, ".", "%2E"), mine},
		{"of another partition", "?after=" + other, ""},
		{"several", "?after=" + mine + "," + other + "," + mine2, mine + "," + mine2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d.of(t)
			d.reader.answer = func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) {
				if !slices.Equal(q.Keys, []string{"foo"}) || q.After != c.after {
					t.Errorf("asked for %+v: want foo after %q", q, c.after)
				}
				return value(q, 1), nil
			}
			if r := d.read("/v1/numbers/foo" + c.query); r.status != 200 {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
}

// Who waits to read what was acked from memory does not wait for the interval.
func TestNumberAfterReceiptPullsTheFlush(t *testing.T) {
	t.Parallel()
	d := open(t)
	counted := d.count("foo", "memory")
	d.reader.answer = func(ctx context.Context, q piccolo.Query) (piccolo.Answer, error) {
		select {
		case <-d.stream.asked:
			return value(q, 1), nil
		case <-ctx.Done():
			return piccolo.Answer{}, ctx.Err()
		}
	}
	if r := d.read("/v1/numbers/foo?after=" + counted.header.Get("Piccolo-Receipt")); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
}
