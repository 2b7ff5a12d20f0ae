package faults_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// client sends increments to one service and keeps book of what became of
// them.
type client struct {
	t    testing.TB
	url  string
	http *http.Client
	book *book
}

func newClient(s *service, b *book) *client {
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &client{
		t: s.t, url: "http://" + s.api + "/increment", book: b,
		http: &http.Client{Transport: transport, Timeout: timeout},
	}
}

// outcome is what became of one increment.
type outcome int

const (
	counted outcome = iota // 2xx
	refused                // any other status
	unknown                // sent, no reply
	unsent                 // nobody listened
)

// send sends one increment, enters it into the book, and checks that the reply
// is one that the service may give. net/http sends a POST a second time only
// where it has not written a byte of it.
func (c *client) send(key string, value int64, ack string) outcome {
	o, _ := c.ask(key, value, ack)
	return o
}

// ask is send, and says what the reply says that holds.
func (c *client) ask(key string, value int64, ack string) (o outcome, held string) {
	form := url.Values{"key": {key}, "value": {strconv.FormatInt(value, 10)}}.Encode()
	r, err := http.NewRequest(http.MethodPost, c.url, strings.NewReader(form))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if ack != "" {
		r.Header.Set("Piccolo-Ack", ack)
	}
	reply, err := c.http.Do(r)
	if err == nil {
		// The status alone says what holds, but a reply that is cut short is
		// none.
		_, err = io.Copy(io.Discard, reply.Body)
		_ = reply.Body.Close()
	}
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		c.book.missed()
		return unsent, ""
	case err != nil:
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			c.t.Errorf("no reply within %s", c.http.Timeout)
		}
		c.book.unknown(key, value)
		return unknown, ""
	}
	if err := plausible(reply, ack); err != nil {
		c.t.Errorf("a reply to Piccolo-Ack: %s: %v", ack, err)
	}
	switch {
	case reply.StatusCode == http.StatusAccepted:
		c.book.memory(key, value)
	case reply.StatusCode == http.StatusOK:
		c.book.sure(key, value)
	default:
		c.book.refuse(reply.StatusCode)
		return refused, ""
	}
	return counted, reply.Header.Get("Piccolo-Ack")
}

// plausible says how a reply breaks the contract.
func plausible(reply *http.Response, asked string) error {
	held := reply.Header.Get("Piccolo-Ack")
	switch reply.StatusCode {
	case http.StatusOK:
		if held != "stored" && held != "applied" || asked == "memory" {
			return fmt.Errorf("200 with Piccolo-Ack: %s", held)
		}
	case http.StatusAccepted:
		if held != "memory" {
			return fmt.Errorf("202 with Piccolo-Ack: %s", held)
		}
	case http.StatusServiceUnavailable:
		if reply.Header.Get("Retry-After") == "" {
			return errors.New("503 without Retry-After")
		}
		return nil
	default:
		return fmt.Errorf("status %s", reply.Status)
	}
	if reply.Header.Get("Piccolo-Receipt") == "" {
		return fmt.Errorf("%s without Piccolo-Receipt", reply.Status)
	}
	return nil
}

// anyValue is a random value of either sign. See book for why it is large.
func anyValue() int64 {
	v := 1 + rand.Int64N(1<<40)
	if rand.IntN(2) == 0 {
		return -v
	}
	return v
}

// load is a number of clients that send without a break, and go on when the
// service is away.
type load struct {
	client  *client
	stopped chan struct{}
	workers sync.WaitGroup
	replied [unsent + 1]atomic.Int64 // by outcome
}

// load starts clients. Each asks for one of acks after the other.
func (s *service) load(b *book, clients int, acks ...string) *load {
	s.t.Helper()
	return s.loadKeys(b, clients, func() string { return fmt.Sprintf("key-%d", rand.IntN(50)) }, acks...)
}

// loadKeys starts clients that count under keys of their own.
func (s *service) loadKeys(b *book, clients int, key func() string, acks ...string) *load {
	l := &load{client: newClient(s, b), stopped: make(chan struct{})}
	for worker := range clients {
		l.workers.Go(func() {
			for i := worker; ; i++ {
				select {
				case <-l.stopped:
					return
				default:
				}
				o := l.client.send(key(), anyValue(), acks[i%len(acks)])
				l.replied[o].Add(1)
				if o != counted {
					time.Sleep(5 * time.Millisecond) // it is away or full, and may be back
				}
			}
		})
	}
	s.t.Cleanup(l.stop)
	return l
}

// stop returns when every client has had its last reply.
func (l *load) stop() {
	select {
	case <-l.stopped:
	default:
		close(l.stopped)
	}
	l.workers.Wait()
}

// await waits until so many more increments had the outcome.
func (l *load) await(s *service, o outcome, n int) {
	s.t.Helper()
	from := l.replied[o].Load()
	s.until(fmt.Sprintf("%d increments with outcome %d", n, o), func() bool { return l.replied[o].Load() >= from+int64(n) })
}
