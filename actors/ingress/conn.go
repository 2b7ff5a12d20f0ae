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
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: l.certificate.over(c)}, nil
}

// conn is a connection that may have to be closed while the client still
// sends, such as a body that is too large. To close it at once would reset it,
// and the client would lose the reply that says why.
type conn struct {
	net.Conn
	unread atomic.Bool // the client may have sent what nobody reads
}

// lingerTime bounds how long a client is listened to that has had its reply.
const lingerTime = time.Second

// Close lets the client finish, where it may be sending, and closes.
func (c *conn) Close() error {
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
