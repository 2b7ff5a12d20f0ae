package ingress_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// nextStored is the batch that the stream takes next.
func (d *door) nextStored(t *testing.T) piccolo.Batch {
	t.Helper()
	<-d.stream.asked
	var b piccolo.Batch
	d.of(t).until("the stream has the batch", func() bool {
		d.stream.mu.Lock()
		defer d.stream.mu.Unlock()
		n := len(d.stream.batches)
		if n == 0 || len(d.stream.flying) > 0 {
			return false
		}
		b = d.stream.batches[n-1]
		return true
	})
	return b
}

// awaitWaiters returns when so many replies wait for the open batch.
func (d *door) awaitWaiters(n int) {
	d.t.Helper()
	d.until(fmt.Sprint(n, " replies wait"), func() bool { return d.in.Waiters() >= n })
}

// increments counts those that the stream holds.
func (s *stream) increments() (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		n += b.Increments
	}
	return n
}

func TestSetAndRemove(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request
		want piccolo.Delta
	}{
		"form":          {request{method: "PUT", target: "/v1/numbers/a%20b", contentType: form, body: "value=-7"}, piccolo.Delta{Key: "a b", Value: -7, Op: piccolo.OpSet}},
		"JSON":          {request{method: "PUT", target: "/v1/numbers/foo", contentType: jsonObject, body: `{"value":9223372036854775807}`}, piccolo.Delta{Key: "foo", Value: 1<<63 - 1, Op: piccolo.OpSet}},
		"query":         {request{method: "PUT", target: "/v1/numbers/foo?value=0&ack=stored"}, piccolo.Delta{Key: "foo", Op: piccolo.OpSet}},
		"removal":       {request{method: "DELETE", target: "/v1/numbers/x/y"}, piccolo.Delta{Key: "x/y", Op: piccolo.OpRemove}},
		"removal, JSON": {request{method: "DELETE", target: "/v1/numbers/foo", contentType: jsonObject}, piccolo.Delta{Key: "foo", Op: piccolo.OpRemove}},
	} {
		t.Run(name, func(t *testing.T) {
			// Where memory is the default, it is not that of what sets.
			d := open(t, func(c *ingress.Config) { c.Ack = piccolo.AckMemory })
			r := d.send(c.request)
			d.acked(r, 200, "stored")
			if b := d.batch(r); len(b.Deltas) != 1 || b.Deltas[0] != c.want || b.Increments != 0 {
				t.Errorf("got batch %+v, want %+v and no increment", b, c.want)
			}
		})
	}
}

// In one batch, a set overwrites what came before it, and what comes after is
// on top.
func TestSetAmongIncrements(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.count("foo", "memory")
	d.count("bar", "memory")
	set := d.async(request{method: "PUT", target: "/v1/numbers/foo?value=100&ack=applied"})
	b := d.nextStored(t)
	want := map[string]piccolo.Delta{
		"foo": {Key: "foo", Value: 100, Op: piccolo.OpSet, WantTotal: true},
		"bar": {Key: "bar", Value: 1},
	}
	for _, delta := range b.Deltas {
		if delta != want[delta.Key] {
			t.Errorf("got %+v, want %+v", delta, want[delta.Key])
		}
	}
	if len(b.Deltas) != 2 || b.Increments != 2 {
		t.Errorf("%d deltas for %d increments, want 2 for 2", len(b.Deltas), b.Increments)
	}
	d.in.Applied(piccolo.Applied{Producer: "p", Seqs: []uint64{b.Seq}, Totals: map[string]int64{"foo": 100}})
	if a := d.acked(<-set, 200, "applied"); a.Value == nil || *a.Value != 100 {
		t.Errorf("the total is %v, want 100", a.Value)
	}

	release := d.stream.hold()
	blocked := d.async(request{contentType: form, body: "key=other&value=1"})
	<-d.stream.asked // from here on all are in one batch
	var waits []<-chan reply
	for i, r := range []request{
		{method: "DELETE", target: "/v1/numbers/foo"},
		{contentType: form, body: "key=foo&value=5"},
		{method: "PUT", target: "/v1/numbers/bar?value=3"},
		{contentType: form, body: "key=bar&value=4"},
		{method: "PUT", target: "/v1/numbers/baz?value=3"},
		{method: "DELETE", target: "/v1/numbers/baz"},
	} {
		r.header = http.Header{}
		waits = append(waits, d.async(r))
		d.awaitWaiters(i + 1) // one after the other
	}
	release()
	d.acked(<-blocked, 200, "stored")
	for _, c := range waits {
		r := <-c
		d.acked(r, 200, "stored")
		b = d.batch(r)
	}
	got := make(map[string]string)
	for _, delta := range b.Deltas {
		got[delta.Key] += fmt.Sprint(delta.Op, delta.Value, " ")
	}
	if got["foo"] != "1 5 " || got["bar"] != "1 7 " || got["baz"] != "2 0 " {
		t.Errorf("got deltas %+v, want foo set to 5, bar to 7, baz removed", b.Deltas)
	}
	// The next batch adds again.
	if b := d.batch(d.count("foo", "stored")); b.Deltas[0] != (piccolo.Delta{Key: "foo", Value: 1}) {
		t.Errorf("then got %+v, want 1 added", b.Deltas)
	}
}

// A set whose sum with what follows leaves int64 is a set and a delta behind it.
func TestSetThatOverflows(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.count("foo", "memory")
	release := d.stream.hold()
	blocked := d.async(request{contentType: form, body: "key=other&value=1"})
	<-d.stream.asked
	set := d.async(request{method: "PUT", target: "/v1/numbers/foo?value=9223372036854775807"})
	d.awaitWaiters(1)
	d.count("foo", "memory")
	release()
	<-blocked
	b := d.batch(<-set)
	want := []piccolo.Delta{{Key: "foo", Value: 1<<63 - 1, Op: piccolo.OpSet}, {Key: "foo", Value: 1}}
	if fmt.Sprint(b.Deltas) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", b.Deltas, want)
	}
}
