package ingress

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// listener accepts connections whose Close may linger, with TLS where there is
// a certificate.
type listener struct {
	net.Listener
	certificate *Certificate
	silent      *silent
}

func (l listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: l.certificate.over(raw), silent: l.silent}
	l.silent.add(c)
	return c, nil
}

// conn is a connection that may have to be closed while the client still
// sends, such as a body that is too large. To close it at once would reset it,
// and the client would lose the reply that says why.
type conn struct {
	net.Conn
	unread atomic.Bool // the client may have sent what nobody reads
	silent *silent
	heard  bool // the client has sent something, or gone; for whoever reads
	ended  bool // the client sends no more; for whoever reads

	readBy, readSet   time.Time // when reading is to end, and when the kernel's side of it is
	writeBy, writeSet time.Time // the same for writing
}

// The server sets three deadlines a request, each of which moves a timer of
// the runtime. Nearly always they only move on a little, and what they are for
// does not begin: a request is there at once, a reply goes out at once. So they
// are only set when something is about to be waited for, and not when one stands
// that is less than deadlineSlack earlier.
const deadlineSlack = time.Second

// SetReadDeadline has reads end at t, or up to deadlineSlack earlier.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.readBy = t
	return nil
}

// SetWriteDeadline has writes end at t, or up to deadlineSlack earlier.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writeBy = t
	return nil
}

// SetDeadline has reads and writes end at t, or up to deadlineSlack earlier.
func (c *conn) SetDeadline(t time.Time) error {
	c.readBy, c.writeBy = t, t
	return nil
}

// near says whether a deadline that is set will do for the one that is wanted.
func near(set, want time.Time) bool {
	early := want.Sub(set)
	return set.IsZero() == want.IsZero() && 0 <= early && early < deadlineSlack
}

func (c *conn) Write(b []byte) (int, error) {
	if !near(c.writeSet, c.writeBy) {
		if err := c.Conn.SetWriteDeadline(c.writeBy); err != nil {
			return 0, err
		}
		c.writeSet = c.writeBy
	}
	return c.Conn.Write(b)
}

func (c *conn) Read(b []byte) (int, error) {
	if !near(c.readSet, c.readBy) {
		if err := c.Conn.SetReadDeadline(c.readBy); err != nil {
			return 0, err
		}
		c.readSet = c.readBy
	}
	n, err := c.Conn.Read(b)
	c.ended = c.ended || err == io.EOF
	if !c.heard {
		c.heard = true
		c.silent.remove(c)
	}
	return n, err
}

// lingerTime bounds how long a client is listened to that has had its reply.
const lingerTime = time.Second

// Close lets the client finish, where it may be sending, and closes.
func (c *conn) Close() error {
	c.silent.remove(c)
	if c.unread.Load() {
		c.linger()
	}
	return c.Conn.Close()
}

// linger says that no more comes, and takes in what the client still sends.
func (c *conn) linger() {
	raw := c.Conn
	if secure, ok := raw.(*tls.Conn); ok {
		_ = secure.CloseWrite() // or the client could not tell the end from an attack
		raw = secure.NetConn()
	}
	tcp, ok := raw.(*net.TCPConn)
	if !ok || tcp.CloseWrite() != nil {
		return
	}
	_ = tcp.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, tcp)
}
