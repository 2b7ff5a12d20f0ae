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
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
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
