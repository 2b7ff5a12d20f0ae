package ingress_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// once is an increment under an Idempotency-Key.
func once(idempotency, key string, value int, ack string) request {
	return request{
		contentType: form, body: fmt.Sprintf("key=%s&value=%d", key, value),
		header: http.Header{"Idempotency-Key": {idempotency}, "Piccolo-Ack": {ack}},
	}
}

// It travels as it came, under its token, and a repeat that this ingress
// remembers does not travel at all: it is told what the first was told.
func TestOnceTravelsUnreduced(t *testing.T) {
	t.Parallel()
	d := open(t)
	first := d.send(once("order-4711", "foo", 10, "stored"))
	a := d.acked(first, 200, "stored")
	b := d.batch(first)
	var payload piccolo.Payload
	payload.Add("foo", 10)
	want := piccolo.Once{
		Claim: piccolo.Claim{Token: piccolo.NewToken("order-4711"), Payload: payload.Sum()}, Increments: 1,
		Deltas: []piccolo.Delta{{Key: "foo", Value: 10}},
	}
	if len(b.Onces) != 1 || fmt.Sprint(b.Onces[0]) != fmt.Sprint(want) || len(b.Deltas) != 0 || b.Increments != 1 {
		t.Fatalf("got batch %+v, want the once %+v", b, want)
	}
	for _, body := range []request{
		once("order-4711", "foo", 10, "stored"),
		{contentType: jsonObject, body: `{"value":10,"key":"foo"}`, header: http.Header{"Idempotency-Key": {"order-4711"}}},
	} {
		if again := d.acked(d.send(body), 200, "stored"); again.Receipt != a.Receipt {
			t.Errorf("the repeat has receipt %s, the first had %s", again.Receipt, a.Receipt)
		}
	}
	d.acked(d.send(once("order-4711", "foo", 10, "memory")), 202, "memory")
	d.nothingWaits()
	if n := d.stream.increments(); n != 1+1 {
		t.Errorf("%d increments were published, want the first and the marker", n)
	}
}

// A repeat waits for what the first waits for.
func TestRepeatWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	d := open(t)
	release := d.stream.hold()
	first := d.async(once("order-4711", "foo", 10, "stored"))
	<-d.stream.asked
	repeat := d.async(once("order-4711", "foo", 10, "stored"))
	unanswered(t, repeat)
	release()
	if a, b := d.acked(<-first, 200, "stored"), d.acked(<-repeat, 200, "stored"); a.Receipt != b.Receipt {
		t.Errorf("the repeat has receipt %s, the first %s", b.Receipt, a.Receipt)
	}
}

// While the stream is away, a repeat is told so, as the first is.
func TestRepeatRunsOutOfTime(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.AckTimeout = 50 * time.Millisecond })
	release := d.stream.hold()
	defer release()
	d.acked(d.send(once("order-4711", "foo", 10, "stored")), 202, "memory")
	d.acked(d.send(once("order-4711", "foo", 10, "stored")), 202, "memory")
}

func TestSameKeyForAnotherPayload(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.acked(d.send(once("order-4711", "foo", 10, "stored")), 200, "stored")
	for _, r := range []request{
		once("order-4711", "foo", 11, "stored"),
		once("order-4711", "bar", 10, "applied"),
		{target: "/v1/increments", contentType: ndjson, header: http.Header{"Idempotency-Key": {"order-4711"}}, body: `{"key":"foo","value":5}` + "\n" + `{"key":"foo","value":5}`},
	} {
		p := d.refused(d.send(r), 422)
		if p.Field != "Idempotency-Key" || !strings.Contains(p.Detail, "nothing of this request was counted") {
			t.Errorf("got %+v", p)
		}
	}
}

// Only the writer knows what another ingress counted. Who waits for its word
// gets it; and what this ingress remembered wrongly it forgets.
func TestWriterDecides(t *testing.T) {
	t.Parallel()
	d := open(t)
	mine := d.async(once("order-4711", "foo", 10, "applied"))
	b := d.nextStored(t)
	if !b.Onces[0].Deltas[0].WantTotal {
		t.Error("the total is not asked for")
	}
	d.in.Applied(piccolo.Applied{Producer: "p", Seqs: []uint64{b.Seq}, Totals: map[string]int64{"foo": 25}, Conflicts: []piccolo.Claim{b.Onces[0].Claim}})
	d.declined(<-mine, 422)

	// The other request is one that this ingress can count.
	other := d.async(once("order-4711", "foo", 25, "applied"))
	b = d.nextStored(t)
	d.in.Applied(piccolo.Applied{Producer: "p", Seqs: []uint64{b.Seq}, Totals: map[string]int64{"foo": 25}})
	if a := d.acked(<-other, 200, "applied"); a.Value == nil || *a.Value != 25 {
		t.Errorf("the total is %v, want 25", a.Value)
	}

	// A repeat that asks for the total is for the writer to answer.
	repeat := d.async(once("order-4711", "foo", 25, "applied"))
	b = d.nextStored(t)
	d.in.Applied(piccolo.Applied{Producer: "p", Seqs: []uint64{b.Seq}, Totals: map[string]int64{"foo": 30}})
	if a := d.acked(<-repeat, 200, "applied"); a.Value == nil || *a.Value != 30 {
		t.Errorf("the total is %v, want 30", a.Value)
	}
}

// Many increments under one key are a once in each partition, the keys summed,
// all with the digest of the whole.
func TestManyOnce(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 3 })
	keys := map[int]string{}
	for i := 0; len(keys) < 2; i++ {
		key := fmt.Sprint("key-", i)
		keys[piccolo.Partition(piccolo.Hash(key), 3)] = key
	}
	var payload piccolo.Payload
	body := ""
	for _, key := range keys {
		for _, value := range []int64{1, 2} {
			body += fmt.Sprintf(`{"key":%q,"value":%d}`+"\n", key, value)
			payload.Add(key, value)
		}
	}
	r := d.send(request{target: "/v1/increments", contentType: ndjson, body: body, header: http.Header{"Idempotency-Key": {"order-4711"}}})
	receipt, err := piccolo.ParseReceipt(r.header.Get("Piccolo-Receipt"))
	if r.status != 200 || err != nil || len(receipt) != 2 || !strings.Contains(r.body, `"counted":4`) {
		t.Fatalf("%d %s, receipt %v, %v: want 4 increments in 2 batches", r.status, r.body, receipt, err)
	}
	claim := piccolo.Claim{Token: piccolo.NewToken("order-4711"), Payload: payload.Sum()}
	for _, id := range receipt {
		b, _ := d.stream.stored(id)
		if len(b.Onces) != 1 || b.Onces[0].Claim != claim || b.Onces[0].Increments != 2 || b.Increments != 2 ||
			len(b.Onces[0].Deltas) != 1 || b.Onces[0].Deltas[0] != (piccolo.Delta{Key: keys[id.Partition], Value: 3}) {
			t.Errorf("batch %s is %+v, want %s=3 under %v", id, b, keys[id.Partition], claim)
		}
	}
	// The order is no part of what was sent.
	lines := strings.SplitAfter(body, "\n")
	again := d.send(request{target: "/v1/increments", contentType: ndjson, body: lines[3] + lines[2] + lines[1] + lines[0], header: http.Header{"Idempotency-Key": {"order-4711"}}})
	if again.status != 200 || again.body != r.body {
		t.Errorf("the repeat: %d %s, want %s", again.status, again.body, r.body)
	}
}

// What waits in memory under a key counts against the budget, and is as large
// as a message at most.
func TestOncesAreBounded(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.MaxKeys = 3; c.MaxMessage = 1 << 10; c.MaxBody = 1 << 20 })
	release := d.stream.hold()
	var held []<-chan reply
	for i := range 3 {
		held = append(held, d.async(once(fmt.Sprint("order-471", i), "foo", 1, "stored")))
		if i == 0 {
			<-d.stream.asked // sealed: its part of the budget is free again
		}
	}
	d.until("two keys wait in memory", func() bool { return d.in.Keys() >= 2 })
	full := d.send(request{target: "/v1/increments", contentType: form, body: "key=a&value=1&key=b&value=1", header: http.Header{"Idempotency-Key": {"order-4711-b"}}})
	d.declined(full, 503)
	release()
	for _, c := range held {
		d.acked(<-c, 200, "stored")
	}
	body := ""
	for i := range 40 {
		body += fmt.Sprintf("key=%d&value=1&", i)
	}
	d = open(t, func(c *ingress.Config) { c.MaxMessage = 1 << 10 })
	d.refused(d.send(request{target: "/v1/increments", contentType: form, body: body, header: http.Header{"Idempotency-Key": {"order-4711"}}}), 413)
}
