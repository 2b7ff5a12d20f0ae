package ingress

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// Certificate is what the listener speaks TLS with: a certificate and its key,
// from two PEM files.
type Certificate struct {
	cert, key string // files
	log       *slog.Logger
	config    atomic.Pointer[tls.Config]
}

// LoadCertificate reads a certificate and its key.
func LoadCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key, log: log}
	return c, c.Reload()
}

// Reload reads the files again, for connections from now on. When they cannot
// be used, the certificate remains what it was.
func (c *Certificate) Reload() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("TLS with certificate %s and key %s: %w: --tls-cert and --tls-key want PEM files that belong together", c.cert, c.key, err)
	}
	warnExposed(c.log, c.key)
	if until := pair.Leaf.NotAfter; time.Now().After(until) {
		c.log.Warn("the TLS certificate has expired, clients will refuse it: replace it, and send SIGHUP", "file", c.cert, "expired", until)
	}
	// A configuration of its own, with ticket keys of its own: nobody resumes
	// under the new certificate what began under the old.
	c.config.Store(&tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	})
	return nil
}

// over returns TLS over a connection, or the connection itself where there is
// no certificate. The handshake comes with the first read.
func (c *Certificate) over(raw net.Conn) net.Conn {
	if c == nil {
		return raw
	}
	return tls.Server(raw, c.config.Load())
}

// speaksTLS is the reply to HTTP without TLS, in words that such a client knows.
const speaksTLS = "HTTP/1.0 400 Bad Request\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n" +
	`{"type":"about:blank","title":"Bad Request","status":400,"detail":"HTTP came to a port that speaks HTTPS: use https://"}` + "\n"

// handshakeFailed says whether a connection broke before there was a request
// to answer. It tells a client that does not speak TLS why.
func handshakeFailed(c net.Conn, err error) bool {
	secure, ok := c.(*tls.Conn)
	if !ok || secure.ConnectionState().HandshakeComplete {
		return false
	}
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && plain.Conn != nil {
		_ = plain.Conn.SetWriteDeadline(time.Now().Add(lingerTime))
		_, _ = io.WriteString(plain.Conn, speaksTLS)
	}
	return true
}
