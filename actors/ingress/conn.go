package ingress

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// listener accepts connections whose Close may linger.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
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
	if tcp, ok := c.Conn.(*net.TCPConn); ok && c.unread.Load() && tcp.CloseWrite() == nil {
		_ = tcp.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.Copy(io.Discard, tcp)
	}
	return c.Conn.Close()
}
