package ingress_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

const ndjson = "application/x-ndjson"

// many is a request with many increments.
func many(contentType, body string) request {
	return request{target: "/v1/increments", contentType: contentType, body: body}
}

// countedMany is the body of a 2xx reply to many increments.
type countedMany struct {
	Ack     string `json:"ack"`
	Receipt string `json:"receipt"`
	Counted int    `json:"counted"`

	Numbers  []shown `json:"numbers"`
	Conflict bool    `json:"conflict"`
}

// ackedMany checks that r is the reply to n increments for which held holds,
// and returns what the batches that its receipt names have, by key.
func (d *door) ackedMany(r reply, status int, held string, n int) map[string]int64 {
	d.t.Helper()
	sums, err := d.allAcked(r, status, held, n)
	if err != nil {
		d.t.Fatal(err)
	}
	return sums
}

// allAcked is ackedMany for goroutines that are not the test's own, which may
// not end it.
func (d *door) allAcked(r reply, status int, held string, n int) (map[string]int64, error) {
	var c countedMany
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("%d %s: %w", r.status, r.body, err)
	}
	if r.status != status || c.Ack != held || r.header.Get("Piccolo-Ack") != held || c.Counted != n {
		return nil, fmt.Errorf("%d %s with header Piccolo-Ack %q: want %d, %s, %d counted", r.status, r.body, r.header.Get("Piccolo-Ack"), status, held, n)
	}
	if got := r.header.Get("Piccolo-Receipt"); got != c.Receipt {
		return nil, fmt.Errorf("header Piccolo-Receipt %q, body %q", got, c.Receipt)
	}
	receipt, err := piccolo.ParseReceipt(c.Receipt)
	if err != nil {
		return nil, err
	}
	sums := make(map[string]int64)
	for _, id := range receipt {
		b, ok := d.stream.stored(id)
		if !ok {
			return nil, fmt.Errorf("the receipt names batch %s, which the stream does not have", id)
		}
		for _, delta := range b.Deltas {
			sums[delta.Key] += delta.Value
		}
	}
	return sums, nil
}

func TestManyIncrementsAreCountedAsSent(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct {
		name, contentType, body string
		n                       int
		want                    map[string]int64
	}{
		{"a line", ndjson, `{"key":"foo","value":10}`, 1, map[string]int64{"foo": 10}},
		{"lines", ndjson, "{\"key\":\"foo\",\"value\":10}\n{\"key\":\"bar\",\"value\":-3}\n{\"key\":\"foo\",\"value\":5}\n", 3, map[string]int64{"foo": 10 + 5, "bar": -3}},
		{"the last line without an end", ndjson, "{\"key\":\"foo\",\"value\":10}\n{\"key\":\"bar\",\"value\":-3}", 2, map[string]int64{"foo": 10, "bar": -3}},
		{"lines as Windows ends them", ndjson, "{\"key\":\"foo\",\"value\":10}\r\n{\"key\":\"bar\",\"value\":-3}\r\n", 2, map[string]int64{"foo": 10, "bar": -3}},
		{"blank lines", ndjson, "\n \t\n{\"key\":\"foo\",\"value\":10}\n\r\n\n{\"key\":\"bar\",\"value\":-3}\n  ", 2, map[string]int64{"foo": 10, "bar": -3}},
		{"lines as Python writes them", ndjson, "{\"key\": \"foo\", \"value\": 10}\n{\"key\": \"bar\", \"value\": -3}\n", 2, map[string]int64{"foo": 10, "bar": -3}},
		{"lines in other ways", ndjson, "{\"value\":10,\"key\":\"foo\"}\n\t{ \"\\u006bey\" : \"b\\u0061r\", \"value\":-3 } \n", 2, map[string]int64{"foo": 10, "bar": -3}},
		{"keys that are not ASCII", ndjson, "{\"key\":\"ключ\",\"value\":10}\n{\"key\":\"a😀\",\"value\":2}\n{\"key\":\"\\ud83d\\ude00\",\"value\":-3}\n", 3, map[string]int64{"ключ": 10, "a😀": 2, "😀": -3}},
		{"the ends of int64", ndjson, "{\"key\":\"a\",\"value\":9223372036854775807}\n{\"key\":\"b\",\"value\":-9223372036854775808}\n", 2, map[string]int64{"a": 9223372036854775807, "b": -9223372036854775808}},
		{"as application/jsonl", "application/jsonl", "{\"key\":\"foo\",\"value\":10}\n", 1, map[string]int64{"foo": 10}},
		{"as application/ndjson", "application/ndjson; charset=utf-8", "{\"key\":\"foo\",\"value\":10}\n", 1, map[string]int64{"foo": 10}},
		{"array", jsonObject, `[{"key":"foo","value":10},{"key":"bar","value":-3},{"key":"foo","value":5}]`, 3, map[string]int64{"foo": 10 + 5, "bar": -3}},
		{"array with blanks", jsonObject, " [\n  {\"key\": \"foo\", \"value\": 10} ,\n  { \"value\" : -3, \"key\": \"}\\\"\\\\\" }\n]\n", 2, map[string]int64{"foo": 10, `}"\`: -3}},
		{"object", jsonObject, ` {"key":"foo","value":10} `, 1, map[string]int64{"foo": 10}},
		{"form", form, "key=foo&value=10&key=bar&value=-3&key=foo&value=5", 3, map[string]int64{"foo": 10 + 5, "bar": -3}},
		{"form in another order", form, "value=10&key=foo&key=bar&value=-3&&", 2, map[string]int64{"foo": 10, "bar": -3}},
		{"form with escapes", form, "key=a%26b&value=%2B10&&key=a+b&value=-3", 2, map[string]int64{"a&b": 10, "a b": -3}},
		{"form without a type", "", "key=foo&value=10&key=bar&value=-3", 2, map[string]int64{"foo": 10, "bar": -3}},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", c.name, chunked), func(t *testing.T) {
				d := d.of(t)
				r := many(c.contentType, c.body)
				r.chunked = chunked
				if got := d.ackedMany(d.send(r), 200, "stored", c.n); !maps.Equal(got, c.want) {
					t.Errorf("counted %v, want %v", got, c.want)
				}
			})
		}
	}
}

// A reply that is not 2xx counted nothing, and says which increment was wrong.
func TestManyIncrementsAreRefused(t *testing.T) {
	t.Parallel()
	d := open(t)
	const line = `{"key":"foo","value":10}` + "\n"
	inLines := func(body string) request { return many(ndjson, body) }
	inArray := func(body string) request { return many(jsonObject, body) }
	inForm := func(body string) request { return many(form, body) }
	for _, c := range []struct {
		name   string
		send   request
		status int
		index  int // -1 for none
		field  string
		detail string
	}{
		{"nothing", inLines(""), 400, -1, "", "no increments"},
		{"blank lines", inLines("\n \n"), 400, -1, "", "no increments"},
		{"empty array", inArray(" [ ] "), 400, -1, "", "no increments"},
		{"empty form", inForm("&&"), 400, -1, "", "no increments"},
		{"no body and no type", request{target: "/v1/increments"}, 400, -1, "", "no increments"},

		{"the first", inLines(`{"key":"foo","value":1.5}` + "\n" + line), 400, 0, "value", `increment 0: value is not an integer: "1.5"`},
		{"the last", inLines(line + line + `{"key":"foo","value":1.5}`), 400, 2, "value", `increment 2: value is not an integer: "1.5"`},
		{"behind blank lines, which do not count", inLines("\n\n" + line + "\n" + `{"key":"","value":1}` + "\n"), 400, 1, "key", "increment 1: key is blank"},
		{"the first of two", inLines(line + `{"key":"foo"}` + "\n" + `{"value":1}` + "\n"), 400, 1, "value", "increment 1: value is missing"},
		{"key of blanks", inLines(line + `{"key":"  ","value":1}` + "\n"), 400, 1, "key", "key is blank"},
		{"key of unicode's blanks", inLines(line + "{\"key\":\"\u2003\",\"value\":1}\n"), 400, 1, "key", "key is blank"},
		{"key too long", inLines(line + `{"key":"` + strings.Repeat("k", 65) + `","value":1}` + "\n"), 400, 1, "key", "key is 65 bytes long, the limit is 64"},
		{"key not UTF-8", inLines(line + "{\"key\":\"a\xff\",\"value\":1}\n"), 400, 1, "key", "not valid UTF-8"},
		{"key with NUL", inLines(line + `{"key":"a\u0000","value":1}` + "\n"), 400, 1, "key", "NUL byte"},
		{"half a surrogate pair", inLines(line + `{"key":"a\ud800","value":1}` + "\n"), 400, 1, "key", "half of a surrogate pair"},
		{"outside int64", inLines(line + `{"key":"foo","value":9223372036854775808}` + "\n"), 400, 1, "value", "outside int64"},
		{"leading zero", inLines(line + `{"key":"foo","value":01}` + "\n"), 400, 1, "", "malformed"},
		{"unknown field", inLines(line + `{"key":"foo","value":1,"ack":"memory"}` + "\n"), 400, 1, "", `field "ack" is unknown`},
		{"field twice", inLines(line + `{"key":"foo","value":1,"value":2}` + "\n"), 400, 1, "value", `given twice: "1" and "2"`},
		{"two objects in a line", inLines(line + `{"key":"foo","value":1}{"key":"foo","value":2}` + "\n"), 400, 1, "", "something follows"},
		{"a comma behind", inLines(line + `{"key":"foo","value":1},` + "\n"), 400, 1, "", "something follows"},
		{"an object over two lines", inLines(line + "{\"key\":\"foo\",\n\"value\":1}\n"), 400, 1, "", "cut short"},
		{"cut short", inLines(line + `{"key":"foo","value":1`), 400, 1, "", "cut short"},
		{"array in a line", inLines("[" + line + "]"), 400, 0, "", "not a JSON object"},

		{"array, the second", inArray(`[{"key":"foo","value":10},{"key":"foo"}]`), 400, 1, "value", "increment 1: value is missing"},
		{"array of numbers", inArray(`[{"key":"foo","value":10}, 7]`), 400, 1, "", `increment 1: is not a JSON object like {"key":"foo","value":10}: "7]"`},
		{"array in an array", inArray(`[[{"key":"foo","value":10}]]`), 400, 0, "", "not a JSON object"},
		{"object in an object", inArray(`[{"key":{"key":"foo"},"value":10}]`), 400, 0, "key", "not a string"},
		{"array in an object", inArray(`[{"key":"foo","value":[1]}]`), 400, 0, "value", "not a number"},
		{"comma at the end", inArray(`[{"key":"foo","value":10},]`), 400, 1, "", "not a JSON object"},
		{"comma at the start", inArray(`[,{"key":"foo","value":10}]`), 400, 0, "", "not a JSON object"},
		{"no comma", inArray(`[{"key":"foo","value":10}{"key":"foo","value":10}]`), 400, 1, "", "increment 1: the JSON is malformed: want , or ]"},
		{"array not closed", inArray(`[{"key":"foo","value":10}`), 400, 1, "", "cut short"},
		{"array cut short behind a comma", inArray(`[{"key":"foo","value":10},`), 400, 1, "", "cut short"},
		{"array cut short in an object", inArray(`[{"key":"foo","val`), 400, 0, "", "cut short"},
		{"array cut short in a string", inArray(`[{"key":"foo}`), 400, 0, "", "cut short"},
		{"something behind the array", inArray(`[{"key":"foo","value":10}] x`), 400, -1, "", "something follows"},
		{"something behind the object", inArray(`{"key":"foo","value":10} {"key":"foo","value":10}`), 400, -1, "", "something follows"},
		{"NUL behind the array", inArray("[{\"key\":\"foo\",\"value\":10}]\x00"), 400, -1, "", "something follows"},
		{"lines said to be JSON", inArray(line + line), 400, -1, "", "something follows"},
		{"a word", inArray("null"), 400, -1, "", "not a JSON array"},
		{"no JSON", inArray(""), 400, -1, "", "not a JSON array"},

		{"form without the last value", inForm("key=foo&value=10&key=bar"), 400, 1, "value", "increment 1: value is missing"},
		{"form with keys first", inForm("key=foo&key=bar&value=1&value=2"), 400, 0, "key", `given twice: "foo" and "bar"`},
		{"form with a third field", inForm("key=foo&value=10&ack=stored&key=bar"), 400, 1, "", `parameter "ack" is unknown`},
		{"form with a value that is none", inForm("key=foo&value=10&key=bar&value=x"), 400, 1, "value", "not an integer"},
		{"lines said to be a form", inForm(line), 400, 0, "", "which takes Content-Type: application/x-ndjson"},

		{"key in the query", request{target: "/v1/increments?key=foo", contentType: ndjson, body: line}, 400, -1, "", "POST /increment takes them"},
		{"unknown parameter", request{target: "/v1/increments?n=1", contentType: ndjson, body: line}, 400, -1, "", `parameter "n" is unknown`},
		{"unknown ack", request{target: "/v1/increments?ack=soon", contentType: ndjson, body: line}, 400, -1, "ack", "none of memory"},
		{"another type", many("text/plain", line), 415, -1, "", `Content-Type "text/plain"`},
		{"too large", inLines(strings.Repeat(line, 50)), 413, -1, "", "larger than 1024 bytes"},
		{"a blank idempotency key", request{target: "/v1/increments", contentType: ndjson, body: line, header: http.Header{"Idempotency-Key": {""}}}, 400, -1, "Idempotency-Key", "is 0 bytes long, want 8 to 255"},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", c.name, chunked), func(t *testing.T) {
				d := d.of(t)
				c.send.chunked = chunked
				c.send.header = c.send.header.Clone()
				p := d.refused(d.send(c.send), c.status)
				if p.Field != c.field || !strings.Contains(p.Detail, c.detail) {
					t.Errorf("field %q, detail %q: want field %q and %q", p.Field, p.Detail, c.field, c.detail)
				}
				if got := p.Index; (got == nil) != (c.index < 0) || got != nil && *got != c.index {
					t.Errorf("index %v in %q, want %d", got, p.Detail, c.index)
				}
			})
		}
	}
}

func TestManyIncrementsAckModes(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.reader.answer = func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) { return value(q, 3), nil }
	body := many(ndjson, "{\"key\":\"foo\",\"value\":1}\n{\"key\":\"bar\",\"value\":2}\n")
	body.target = "/v1/increments?ack=memory"
	r := d.send(body)
	receipt := r.header.Get("Piccolo-Receipt")
	if r.status != 202 || r.body != `{"ack":"memory","receipt":"`+receipt+`","counted":2}`+"\n" {
		t.Errorf("%d %s", r.status, r.body)
	}
	body.target = "/v1/increments?ack=applied"
	waits := d.async(body)
	<-d.stream.asked
	id, err := piccolo.ParseBatchID(receipt)
	if err != nil {
		t.Fatal(err)
	}
	unanswered(t, waits)
	for {
		// The notice may come before the batch is waited for: a writer is not
		// that quick.
		d.in.Applied(piccolo.Applied{Producer: id.Producer, Partition: id.Partition, Seqs: []uint64{id.Seq}})
		select {
		case r := <-waits:
			want := map[string]int64{"foo": 1 + 1, "bar": 2 + 2} // with what waited in memory
			if got := d.ackedMany(r, 200, "applied", 2); !maps.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
			b, _ := d.stream.stored(id)
			urged := 0
			for _, delta := range b.Deltas {
				if delta.WantTotal {
					urged++
				}
			}
			if urged != 1 {
				t.Errorf("the writer is to report %d totals, want 1: it hurries, and nobody needs them", urged)
			}
			return
		default:
		}
	}
}

// Requests of many increments, at the same time as others and as batches that
// fill up: what was acked is in the batches that the receipt names, and what was
// refused is nowhere.
func TestManyIncrementsAllOrNone(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) {
		c.Partitions, c.MaxKeys, c.MaxMessage, c.MaxBody = 3, 20, 500, 1<<20
	})
	var mu sync.Mutex
	want := make(map[string]int64)
	var refused atomic.Int64
	var group sync.WaitGroup
	for client := range 8 {
		group.Go(func() {
			for n := range 20 {
				var body strings.Builder
				sums := make(map[string]int64)
				for i := range 1 + (client+n)*7%90 {
					key, value := fmt.Sprintf("key-%d", (i*i+client*n)%60), int64(i-client)
					fmt.Fprintf(&body, "{\"key\":%q,\"value\":%d}\n", key, value)
					sums[key] += value
				}
				r, err := d.try(many(ndjson, body.String()))
				if err != nil {
					t.Error(err)
					return
				}
				if r.status == 503 {
					refused.Add(1)
					continue
				}
				in, err := d.allAcked(r, 200, "stored", strings.Count(body.String(), "\n"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for key, sum := range sums {
					want[key] += sum
					if _, ok := in[key]; !ok {
						t.Errorf("%s is in no batch that the receipt names", key)
					}
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if got := d.stream.sums(); !maps.Equal(got, want) {
		t.Fatalf("stored %v, want %v", got, want)
	}
	if n := refused.Load(); n == 0 || n == 8*20 {
		t.Errorf("%d of %d requests were refused: want some", n, 8*20)
	}
}
