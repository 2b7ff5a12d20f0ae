package faults_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func (s *service) dial() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.api)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Clients send their requests a byte at a time, for ever. The others are served
// meanwhile, and the slow ones are hung up on.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newBook()
	s.start()
	const slow = 200
	f := measure(t, 11, "clients that send a byte at a time")
	f.Times = slow
	var all sync.WaitGroup
	gaveUp := make(chan struct{}, slow)
	for i := range slow {
		c := s.dial()
		all.Go(func() {
			request := "POST /increment HTTP/1.1\r\nHost: piccolo\r\nX: " + strings.Repeat("x", 1<<20)
			if i%2 == 0 { // slow with the body
				request = "POST /increment HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 100000\r\n\r\nkey=slow&value=1" + strings.Repeat("x", 1<<20)
			}
			for at := 0; ; at++ {
				if _, err := c.Write([]byte{request[at]}); err != nil {
					gaveUp <- struct{}{}
					return
				}
				time.Sleep(100 * time.Millisecond) // this is what they do
			}
		})
	}
	s.busy(b, 100)
	for n := range slow {
		select {
		case <-gaveUp:
		case <-time.After(3 * patience): // a request may take half a minute
			t.Fatalf("%d of %d slow clients are hung up on", n, slow)
		}
	}
	all.Wait()
	s.quiet()
	f.check(b, s.contents())
	s.stop()
}

// Ten thousand clients connect and say nothing, or no more than the start of a
// request. The others are served, and a stop does not wait.
func TestIdleClients(t *testing.T) {
	t.Parallel()
	const idle = 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < idle+2000 {
		impossible(t, "a process may not have %d files open here (%d, %v)", idle+2000, limit.Cur, err)
	}
	s := newService(t)
	b := newBook()
	s.start()
	for i := range idle {
		c := s.dial()
		if i%2 == 0 {
			if _, err := io.WriteString(c, "POST /incr"); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.busy(b, 200)
	s.stop()
	f := measure(t, 11, "idle connections")
	f.Times = idle
	f.check(b, s.contents())
}

// Requests that are too large, or that two servers in a row would see different
// ends of: each is refused, and nothing that hides in one is counted.
func TestRequestsThatAttack(t *testing.T) {
	t.Parallel()
	s := newService(t, "--max-body=64KiB")
	b := newBook()
	f := measure(t, 11, "requests too large, or with another hidden in them")
	s.start()
	const hidden = "POST /increment?key=hidden&value=1 HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 0\r\n\r\n"
	post := func(headers, body string) string {
		return "POST /increment HTTP/1.1\r\nHost: piccolo\r\nContent-Type: application/x-www-form-urlencoded\r\n" + headers + "\r\n" + body
	}
	for name, request := range map[string]string{
		"length and chunks":          post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+hidden),
		"chunks and length":          post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"+hidden),
		"a coding that is no chunks": post("Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n", hidden),
		"a blank before the colon":   post("Transfer-Encoding : chunked\r\nContent-Length: 0\r\n", hidden),
		"a tab before the coding":    post("Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+hidden),
		"a folded header":            post("X: y\r\n Content-Length: 0\r\n", hidden),
		"two lengths":                post("Content-Length: 0\r\nContent-Length: 82\r\n", hidden),
		"a length in words":          post("Content-Length: zero\r\n", hidden),
		"a length that overflows":    post("Content-Length: 18446744073709551616\r\n", hidden),
		"a length below 0":           post("Content-Length: -1\r\n", hidden),
		"a chunk that overflows":     post("Transfer-Encoding: chunked\r\n", "10000000000000000\r\n"+hidden),
		"a zero byte in a header":    post("X: a\x00b\r\nContent-Length: 0\r\n", hidden),
		"a bare carriage return":     post("X: a\rContent-Length: 82\r\nContent-Length: 0\r\n", hidden),
		"headers beyond the limit":   post("X: "+strings.Repeat("x", 1<<20)+"\r\nContent-Length: 0\r\n", hidden),
		"a body beyond the limit":    post("Content-Length: 1000000\r\n", strings.Repeat(hidden, 12000)),
		"a path beyond the limit":    "POST /increment?key=" + strings.Repeat("k", 1<<20) + "&value=1 HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 0\r\n\r\n" + hidden,
		"no HTTP":                    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + hidden,
	} {
		f.Times++
		t.Run(name, func(t *testing.T) {
			c := s.dial()
			go func() { _, _ = io.WriteString(c, request) }() // it may hang up before the end
			if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			replies := bufio.NewReader(c)
			for n := 0; ; n++ {
				reply, err := http.ReadResponse(replies, nil)
				if err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("neither refused nor hung up on")
					}
					return
				}
				_, _ = io.Copy(io.Discard, reply.Body)
				if reply.StatusCode < 400 {
					t.Errorf("reply %d is %s", n+1, reply.Status)
				}
			}
		})
	}
	s.busy(b, 20)
	s.stop()
	db := s.contents()
	if value, counted := db.numbers["hidden"]; counted {
		t.Errorf("what hid in a request was counted: %d", value)
	}
	f.check(b, db)
}
