package ingress_test

import (
	"context"
	"maps"
	"net/http"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// Increments are counted by what held, everything else by its status; health
// checks, which come from machines all day, are not.
func TestRepliesAreCounted(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.commitsAll()
	d.reader.answer = func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) {
		if q.Keys[0] != "foo" {
			return piccolo.Answer{}, nil
		}
		return value(q, 1), nil
	}
	for range 3 {
		d.count("foo", "memory")
	}
	for range 2 {
		d.count("foo", "stored")
	}
	d.count("foo", "applied")
	for range 4 {
		d.count("", "stored")
	}
	for range 5 {
		d.read("/v1/numbers/foo")
	}
	d.read("/v1/numbers/bar")
	d.read("/nothing")
	d.send(request{method: http.MethodPut})
	d.read("/livez")
	d.read("/readyz")

	type kind struct {
		status int
		ack    string
	}
	got := make(map[kind]uint64)
	d.in.Replies().Each(func(status int, ack string, n uint64) { got[kind{status, ack}] += n })
	want := map[kind]uint64{
		{202, "memory"}:  3,
		{200, "stored"}:  2,
		{200, "applied"}: 1,
		{400, ""}:        4,
		{200, ""}:        5,
		{404, ""}:        1 + 1,
		{405, ""}:        1,
		{503, ""}:        0, // told of all the same
	}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
