package ingress_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Where a request ends must be beyond doubt: two servers in a row that see it
// differently would count what nobody sent.
func TestFramingThatTwoServersCouldReadDifferently(t *testing.T) {
	t.Parallel()
	d := open(t)
	const head = "POST /increment HTTP/1.1\r\nHost: piccolo\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	const chunked = "10\r\nkey=foo&value=10\r\n0\r\n\r\n"
	for _, c := range []struct {
		name, send string
		status     int
		detail     string
	}{
		{"Content-Length and Transfer-Encoding",
			head + "Content-Length: 16\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, 400, "both Content-Length and Transfer-Encoding"},
		{"Transfer-Encoding and Content-Length",
			head + "Transfer-Encoding: chunked\r\nContent-Length: 16\r\n\r\n" + chunked, 400, "both Content-Length and Transfer-Encoding"},
		{"in odd letters",
			head + "tRANSFER-eNCODING: chunked\r\ncONTENT-lENGTH: 16\r\n\r\n" + chunked, 400, "both Content-Length and Transfer-Encoding"},
		{"both, without a chunk",
			"POST /increment?key=foo&value=10 HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "both Content-Length and Transfer-Encoding"},
		{"Content-Length and Transfer-Encoding: identity",
			head + "Content-Length: 16\r\nTransfer-Encoding: identity\r\n\r\nkey=foo&value=10", 400, "both Content-Length and Transfer-Encoding"},
		{"Content-Length twice",
			head + "Content-Length: 16\r\nContent-Length: 17\r\n\r\nkey=foo&value=10", 400, "content-length"},
		{"the same Content-Length twice",
			head + "Content-Length: 16\r\nContent-Length: 16\r\n\r\nkey=foo&value=10", 400, "content-length"},
		{"two lengths in one header",
			head + "Content-Length: 16, 16\r\n\r\nkey=foo&value=10", 400, ""},
		{"a length with a sign",
			head + "Content-Length: +16\r\n\r\nkey=foo&value=10", 400, ""},
		{"a length below 0",
			head + "Content-Length: -1\r\n\r\nkey=foo&value=10", 400, ""},
		{"a blank before the colon",
			head + "Content-Length : 16\r\n\r\nkey=foo&value=10", 400, ""},
		{"Transfer-Encoding twice",
			head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, 400, ""},
		{"a coding that is not served",
			head + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked, 400, ""},
		{"chunks under HTTP/1.0",
			"POST /increment HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, 400, ""},
		{"a chunk of no hexadecimal length",
			head + "Transfer-Encoding: chunked\r\n\r\nzz\r\nkey=foo&value=10\r\n0\r\n\r\n", 400, ""},
		{"a body and no length",
			head + "\r\nkey=foo&value=10", 411, "no Content-Length"},
		{"a body, a query and no length",
			strings.Replace(head, "/increment", "/increment?key=foo&value=10", 1) + "\r\nkey=foo&value=10", 411, "no Content-Length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d.of(t)
			replies := d.raw(c.send)
			if len(replies) != 1 {
				t.Fatalf("%d replies: %+v", len(replies), replies)
			}
			p := d.refused(replies[0], c.status)
			if !strings.Contains(p.Detail, c.detail) {
				t.Errorf("detail %q: want %q", p.Detail, c.detail)
			}
			if !replies[0].closes {
				t.Error("the connection goes on, at a place that is in doubt")
			}
		})
	}
}

func TestBodyCutShortCountsNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct{ name, send string }{
		{"length", "POST /increment HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 17\r\n\r\nkey=foo&value=10"},
		{"no body", "POST /increment?key=foo&value=10 HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 1\r\n\r\n"},
		{"chunk", "POST /increment HTTP/1.1\r\nHost: piccolo\r\nTransfer-Encoding: chunked\r\n\r\n11\r\nkey=foo&value=10"},
		{"no last chunk", "POST /increment HTTP/1.1\r\nHost: piccolo\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nkey=foo&value=10\r\n"},
		{"last chunk cut short", "POST /increment HTTP/1.1\r\nHost: piccolo\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nkey=foo&value=10\r\n0\r\n"},
		{"headers", "POST /increment?key=foo&value=10 HTTP/1.1\r\nHost: piccolo\r\n"},
		{"request line", "POST /increment?key=foo&value=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d.of(t)
			for _, r := range d.raw(c.send) {
				d.declined(r, 400)
			}
			d.nothingWaits()
		})
	}
}

// A client may send the whole URL, as to a proxy.
func TestTargetInAbsoluteForm(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct {
		target string
		status int
	}{
		{"http://piccolo/increment?key=foo&value=10", 200},
		{"HTTPS://piccolo:3333/increment?key=foo&value=10", 200},
		{"http://piccolo/increment/?key=foo&value=10", 404},
		{"http://piccolo?key=foo&value=10", 404},
		{"http://piccolo", 404},
		{"http:///", 404},
		{"ftp://piccolo/increment?key=foo&value=10", 404},
	} {
		t.Run(c.target, func(t *testing.T) {
			d := d.of(t)
			replies := d.raw("POST " + c.target + " HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 0\r\n\r\n")
			if len(replies) != 1 || replies[0].status != c.status {
				t.Errorf("%+v, want %d", replies, c.status)
			}
		})
	}
}

func TestRequestsOnOneConnection(t *testing.T) {
	t.Parallel()
	d := open(t)
	const (
		counted = "POST /increment HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 16\r\n\r\nkey=foo&value=10"
		refused = "POST /increment HTTP/1.1\r\nHost: piccolo\r\nContent-Length: 16\r\n\r\nkey=foo&value=xx"
	)
	replies := d.raw(counted + refused + counted)
	if len(replies) != 3 {
		t.Fatalf("%d replies to 3 requests sent at once", len(replies))
	}
	d.acked(replies[0], 200, "stored")
	d.declined(replies[1], 400)
	d.acked(replies[2], 200, "stored")
	if got := d.stream.sums()["foo"]; got != 10+10 {
		t.Errorf("counted %d, want %d", got, 10+10)
	}
}

// A client that is refused while it still sends must not find the connection
// reset instead.
func TestReplyReachesClientThatStillSends(t *testing.T) {
	t.Parallel()
	d := open(t)
	large := strings.Repeat("k", 4<<20)
	for _, c := range []struct {
		name   string
		send   request
		status int
	}{
		{"body with a length", request{contentType: form, body: large}, 413},
		{"body in chunks", request{contentType: form, body: large, chunked: true}, 413},
		{"body after 100 Continue", request{contentType: form, body: large, header: http.Header{"Expect": {"100-continue"}}}, 413},
		{"header", request{header: http.Header{"X-Long": {large}}}, 431},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d.of(t)
			for range 5 {
				d.refused(d.send(c.send), c.status)
			}
		})
	}
}

// raw sends bytes, and returns what came back until the server closed.
func (d *door) raw(send string) (replies []reply) {
	d.t.Helper()
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		d.t.Fatal(err)
	}
	if _, err := io.WriteString(c, send); err != nil {
		d.t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		d.t.Fatal(err)
	}
	for r := bufio.NewReader(c); ; {
		if _, err := r.Peek(1); err == io.EOF {
			return replies
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			d.t.Fatalf("after %d replies: %v", len(replies), err)
		}
		reply, err := readReply(res)
		if err != nil {
			d.t.Fatal(err)
		}
		replies = append(replies, reply)
	}
}
