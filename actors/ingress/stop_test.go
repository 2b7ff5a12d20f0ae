package ingress_test

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/actors/ingress"
)

func TestStopStoresWhatWasCounted(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 3 })
	for i := range 100 {
		d.acked(d.count("key-"+strconv.Itoa(i%50), "memory"), 202, "memory")
	}
	if sums := d.stream.sums(); len(sums) != 0 {
		t.Errorf("stored %v before the interval", sums)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	sums := d.stream.sums()
	for key, sum := range sums {
		if sum != 1+1 {
			t.Errorf("%s: %d, want %d", key, sum, 1+1)
		}
	}
	if len(sums) != 50 {
		t.Errorf("%d keys stored, want 50", len(sums))
	}
	d.in.Interrupt(nil) // again, when it has stopped, which is nothing
}

func TestStopAnswersWhoWaits(t *testing.T) {
	t.Parallel()
	d := open(t)
	release := d.stream.hold()
	r := d.async(request{body: "key=foo&value=10"})
	<-d.stream.asked
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop() }()
	for { // until nobody new is let in
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	unanswered(t, r)
	release()
	d.acked(<-r, 200, "stored")
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

// brokenListener accepts one connection, and fails when it is told to.
type brokenListener struct {
	net.Listener
	accepted bool
	fail     chan error
}

func (l *brokenListener) Accept() (net.Conn, error) {
	if l.accepted {
		return nil, <-l.fail
	}
	l.accepted = true
	return l.Listener.Accept()
}

func TestListenerFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("too many open files")
	var l *brokenListener
	d := prepare(t, func(c *ingress.Config) {
		l = &brokenListener{Listener: c.Listener, fail: make(chan error, 1)}
		c.Listener = l
	})
	ended := make(chan error, 1)
	go func() { ended <- d.in.Execute() }()
	d.acked(d.count("foo", "memory"), 202, "memory")
	d.client.CloseIdleConnections()
	l.fail <- broken
	if err := <-ended; !errors.Is(err, broken) {
		t.Errorf("ended with %v, want %v", err, broken)
	}
	if sums := d.stream.sums(); sums["foo"] != 1 {
		t.Errorf("stored %v, want foo 1", sums)
	}
}

func TestKeyThatNoMessageHolds(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = ingress.New(ingress.Config{Listener: l, MaxMessage: 1000, MaxKeyBytes: 1000, Partitions: 1})
	if err == nil || !strings.Contains(err.Error(), "--max-key-bytes") {
		t.Errorf("%v: want an error that names the flag", err)
	}
}
