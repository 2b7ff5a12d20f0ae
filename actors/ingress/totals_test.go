package ingress_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// manyApplied sends many increments, which are committed as soon as they are
// stored, and returns the reply.
func (d *door) manyApplied(body string, header http.Header) (c countedMany) {
	d.t.Helper()
	r := d.send(request{target: "/v1/increments?ack=applied", contentType: ndjson, body: body, header: header})
	if err := json.Unmarshal([]byte(r.body), &c); r.status != 200 || err != nil || c.Ack != "applied" {
		d.t.Fatalf("%d %s, %v: want 200, applied", r.status, r.body, err)
	}
	return c
}

func line(key string, value int64) string {
	return fmt.Sprintf(`{"key":%q,"value":%d}`+"\n", key, value)
}

// Who waits for the commit is told the totals, each once and in the order in
// which the keys came, with an Idempotency-Key and without.
func TestManyAppliedHasTheTotals(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 3 })
	d.commitsAll()
	d.reader.answer = func(_ context.Context, q piccolo.Query) (a piccolo.Answer, _ error) {
		if q.After == "" {
			t.Errorf("%q are read without waiting for what has been counted", q.Keys)
		}
		for _, key := range q.Keys {
			if key != "gone" {
				a.Numbers = append(a.Numbers, piccolo.Number{Key: key, Value: int64(len(key))})
			}
		}
		return a, nil
	}
	want := []shown{{"ccc", 3, "3"}, {"a", 1, "1"}, {"bb", 2, "2"}, {"dddd", 4, "4"}}
	for name, header := range map[string]http.Header{"no key": {}, "a key": {"Idempotency-Key": {"order-4711"}}} {
		c := d.manyApplied(line("ccc", 1)+line("a", 1)+line("gone", 1)+line("ccc", 1)+line("bb", 1)+line("a", 1)+line("dddd", 1), header)
		if !slices.Equal(c.Numbers, want) || c.Counted != 7 || c.Conflict {
			t.Errorf("%s: %+v, want the numbers %v of 7 increments", name, c, want)
		}
	}
}

// Totals that are too many, or cannot be read, are left out: what was counted is
// committed all the same.
func TestManyAppliedWithoutTotals(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.MaxBody, c.MaxKeys, c.MaxKeyBytes = 1<<20, 10_000, 4<<10 })
	d.commitsAll()
	d.reader.answer = func(_ context.Context, q piccolo.Query) (a piccolo.Answer, _ error) {
		for _, key := range q.Keys {
			a.Numbers = append(a.Numbers, piccolo.Number{Key: key, Value: 1})
		}
		return a, nil
	}
	body := ""
	for i := range 1000 {
		body += line(fmt.Sprint(i), 1)
	}
	if c := d.manyApplied(body, nil); len(c.Numbers) != 1000 {
		t.Errorf("%d numbers of 1000 keys", len(c.Numbers))
	}
	if c := d.manyApplied(body+line("one more", 1), nil); c.Numbers != nil || c.Counted != 1001 {
		t.Errorf("%d numbers of 1001 keys, %d counted", len(c.Numbers), c.Counted)
	}
	long := ""
	for i := range 33 { // of 4 KiB each: more than 128 KiB
		long += line(strings.Repeat("k", 4<<10-2)+fmt.Sprint(i+10), 1)
	}
	if c := d.manyApplied(long, nil); c.Numbers != nil {
		t.Errorf("%d numbers of keys that are more than a message holds", len(c.Numbers))
	}
	d.reader.answer = func(context.Context, piccolo.Query) (piccolo.Answer, error) {
		return piccolo.Answer{}, errors.New("no writer serves partition 0")
	}
	if c := d.manyApplied(line("foo", 1), nil); c.Numbers != nil || c.Counted != 1 {
		t.Errorf("%+v, want 1 counted and no numbers", c)
	}
}

// A request whose Idempotency-Key stands for something else in some partitions is
// counted in the others, and so is no refusal. It says how much was counted.
func TestConflictInSomePartitions(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 2 })
	d.reader.answer = func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) { return value(q, 1), nil }
	keys := map[int]string{}
	for i := 0; len(keys) < 2; i++ {
		key := fmt.Sprint("key-", i)
		keys[piccolo.Partition(piccolo.Hash(key), 2)] = key
	}
	conflictIn := func(partitions ...int) reply {
		d.stream.answers(func(_ context.Context, m *piccolo.Message) error {
			var b piccolo.Batch
			if err := piccolo.DecodeBatch(m.Data, &b); err != nil {
				return err
			}
			a := piccolo.Applied{Producer: b.Producer, Partition: b.Partition, Seqs: []uint64{b.Seq}}
			if slices.Contains(partitions, b.Partition) {
				a.Conflicts = []piccolo.Claim{b.Onces[0].Claim}
			}
			d.in.Applied(a)
			return nil
		})
		return d.send(request{
			target: "/v1/increments?ack=applied", contentType: ndjson, header: http.Header{"Idempotency-Key": {"order-4711"}},
			body: line(keys[0], 1) + line(keys[1], 1) + line(keys[0], 1),
		})
	}
	var c countedMany
	r := conflictIn(1)
	if err := json.Unmarshal([]byte(r.body), &c); err != nil || r.status != 200 || !c.Conflict || c.Counted != 2 || len(c.Numbers) != 2 {
		t.Errorf("%d %s, %v: want 200, conflict, 2 counted, the totals", r.status, r.body, err)
	}
	if p := d.declined(conflictIn(0, 1), 422); !strings.Contains(p.Detail, "nothing of this request was counted") {
		t.Errorf("%+v", p)
	}
	if r := conflictIn(); r.status != 200 || strings.Contains(r.body, "conflict") || !strings.Contains(r.body, `"counted":3`) {
		t.Errorf("%d %s: want 3 counted and no conflict", r.status, r.body)
	}
}
