package ingress_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// unavailable checks that r is a 503 that says when to come back.
func (d *door) unavailable(r reply, detail string) {
	d.t.Helper()
	p := d.declined(r, 503)
	if seconds, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || seconds < 1 {
		d.t.Errorf("Retry-After: %q", r.header.Get("Retry-After"))
	}
	if !strings.Contains(p.Detail, "nothing was counted") || !strings.Contains(p.Detail, detail) {
		d.t.Errorf("detail %q: want %q", p.Detail, detail)
	}
}

// Nothing is counted while the stream is full, but what had been counted before
// that was known; and the ingress recovers by itself.
func TestFullStream(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.stream.fails(piccolo.ErrFull)
	first := d.async(request{body: "key=foo&value=10"})
	<-d.stream.asked
	<-d.stream.asked // the second try comes when the first has been taken note of
	for _, ack := range []string{"memory", "stored", "applied"} {
		d.unavailable(d.count("foo", ack), "the stream is full")
		d.unavailable(d.count("bar", ack), "the stream is full")
	}
	d.unready("the stream is full")

	d.stream.fails(nil)
	d.acked(<-first, 200, "stored")
	d.acked(d.count("foo", "stored"), 200, "stored")
	d.ready()
	if sums := d.stream.sums(); sums["foo"] != 10+1 || len(sums) != 1 {
		t.Errorf("counted %v: want foo alone, %d", sums, 10+1)
	}
}

// A stream that is away is not full: what it will take in the end is counted.
func TestStreamAway(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.stream.fails(errors.New("no answer"))
	first := d.async(request{body: "key=foo&value=10"})
	<-d.stream.asked
	<-d.stream.asked
	d.acked(d.count("foo", "memory"), 202, "memory")
	d.ready()
	d.stream.fails(nil)
	d.acked(<-first, 200, "stored")
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if sums := d.stream.sums(); sums["foo"] != 10+1 {
		t.Errorf("counted %v: want foo %d", sums, 10+1)
	}
}

func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.MaxKeys = 2; c.Partitions = 3 })
	d.acked(d.count("a", "memory"), 202, "memory")
	d.acked(d.count("b", "memory"), 202, "memory")
	if n := d.in.Keys(); n != 2 {
		t.Errorf("%d keys in memory, want 2", n)
	}
	d.unavailable(d.count("c", "memory"), "distinct keys")
	d.unavailable(d.count("c", "stored"), "distinct keys")
	d.acked(d.count("a", "memory"), 202, "memory") // known keys go on
	d.ready()
	d.acked(d.count("b", "stored"), 200, "stored")
	d.acked(d.count("a", "stored"), 200, "stored")
	for r := d.count("c", "stored"); ; r = d.count("c", "stored") { // room is made once they are stored
		if r.status != 503 {
			d.acked(r, 200, "stored")
			break
		}
	}
	sums := d.stream.sums()
	if sums["a"] != 1+1+1 || sums["b"] != 1+1 || sums["c"] != 1 {
		t.Errorf("counted %v: want a 3, b 2, c 1", sums)
	}
}

// A request whose end comes when the process has stopped taking them is told
// so, and is not counted.
func TestRequestTooLateForTheStop(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.AckTimeout = time.Millisecond })
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(s string) {
		if _, err := io.WriteString(c, s); err != nil {
			t.Fatal(err)
		}
	}
	answers := bufio.NewReader(c)
	read := func() reply {
		t.Helper()
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := readReply(res)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const head = "POST /increment?ack=memory HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 16\r\n"
	send(head + "\r\nkey=foo&value=10")
	d.acked(read(), 202, "memory")
	send(head + "Expect: 100-continue\r\n\r\n")
	if r := read(); r.status != 100 {
		t.Fatalf("%d, want 100: the server waits for the body", r.status)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	send("key=foo&value=10")
	r := read()
	d.unavailable(r, "stopping")
	if !r.closes {
		t.Error("the connection goes on")
	}
	if sums := d.stream.sums(); sums["foo"] != 10 {
		t.Errorf("counted %v: want foo 10", sums)
	}
	if err := d.in.Check(context.Background()); !errors.Is(err, piccolo.ErrStopping) {
		t.Errorf("check: %v", err)
	}
}
