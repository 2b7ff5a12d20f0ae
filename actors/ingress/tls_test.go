package ingress_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

func TestTLSServesEveryRoute(t *testing.T) {
	t.Parallel()
	d, _ := secured(t)
	d.reader.answer = func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) {
		return value(q, 7), nil
	}
	d.acked(d.send(request{contentType: form, body: "key=foo&value=10"}), 200, "stored")
	d.refused(d.send(request{contentType: form, body: "key=foo&value=ten"}), 400)
	for _, target := range []string{"/v1/numbers/foo", "/livez", "/readyz"} {
		if r := d.send(request{method: http.MethodGet, target: target}); r.status != 200 {
			t.Errorf("%s: %d %s", target, r.status, r.body)
		}
	}
}

func TestTLSVersionsAndProtocol(t *testing.T) {
	t.Parallel()
	d, files := secured(t)
	for version, taken := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		config := files.trust()
		config.MinVersion, config.MaxVersion = version, version
		config.NextProtos = []string{"h2", "http/1.1"}
		c, err := tls.Dial("tcp", d.addr, config)
		if (err == nil) != taken {
			t.Errorf("%s: %v, want it taken: %t", tls.VersionName(version), err, taken)
		}
		if err != nil {
			continue
		}
		if got := c.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
			t.Errorf("%s: protocol %q, want http/1.1", tls.VersionName(version), got)
		}
		_ = c.Close()
	}
}

// Who speaks HTTP to a port with TLS is told so.
func TestTLSToldToAClientWithoutIt(t *testing.T) {
	t.Parallel()
	d, _ := secured(t)
	plain := d.of(t)
	plain.client = &http.Client{Transport: &http.Transport{}}
	defer plain.client.CloseIdleConnections()
	p := plain.declined(plain.send(request{contentType: form, body: "key=foo&value=10"}), 400)
	if !strings.Contains(p.Detail, "HTTPS") {
		t.Errorf("detail %q does not say what to speak", p.Detail)
	}
	d.nothingWaits()
}

// What is neither HTTP nor TLS, or breaks off, harms nobody.
func TestTLSHandshakeThatFails(t *testing.T) {
	t.Parallel()
	d, _ := secured(t)
	if c, err := tls.Dial("tcp", d.addr, &tls.Config{}); err == nil {
		t.Error("a certificate that nobody trusts was trusted")
		_ = c.Close()
	}
	for _, send := range []string{"", "\x16", "\x16\x03\x01\x00\x02\x01\x00", "\x80\x2e\x01\x00\x02", strings.Repeat("x", 1<<16)} {
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, send) // the server may have closed already
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c) // until it has
		_ = c.Close()
	}
	d.nothingWaits()
	d.in.Replies().Each(func(status int, _ string, n uint64) {
		if n > 0 && status != 200 {
			t.Errorf("a reply with %d was counted, to nobody", status)
		}
	})
}

// A client that is refused while it still sends gets the reply, as it does
// without TLS.
func TestTLSReplyReachesClientThatStillSends(t *testing.T) {
	t.Parallel()
	d, _ := secured(t)
	large := strings.Repeat("k", 4<<20)
	for range 5 {
		d.refused(d.send(request{contentType: form, body: large}), 413)
		d.refused(d.send(request{contentType: form, body: large, chunked: true}), 413)
		d.refused(d.send(request{header: http.Header{"X-Long": {large}}}), 431)
	}
}

// A stop answers what has been asked, and an idle connection ends with no error.
func TestTLSStopAnswersWhoWaits(t *testing.T) {
	t.Parallel()
	d, _ := secured(t)
	idle := d.dial()
	defer idle.Close()
	idle.counts()

	release := d.stream.hold()
	var waiting []<-chan reply
	for i := range 10 {
		waiting = append(waiting, d.async(request{body: "value=10&key=key-" + strconv.Itoa(i)}))
	}
	for d.in.Keys() < 1+10 { // until all have been counted
		runtime.Gosched()
	}
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop() }()
	for d.in.Check(context.Background()) == nil {
		runtime.Gosched()
	}
	release()
	for _, r := range waiting {
		d.acked(<-r, 200, "stored")
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an idle connection ended with %v", err)
	}
}

func TestTLSReload(t *testing.T) {
	t.Parallel()
	d, files := secured(t)
	serial := func() int64 {
		t.Helper()
		c := d.dial()
		defer c.Close()
		c.counts()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("certificate %d, want 1", got)
	}
	open := d.dial()
	defer open.Close()

	files.write(2, time.Hour)
	if got := serial(); got != 1 {
		t.Errorf("certificate %d before the signal, want 1", got)
	}
	if err := files.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("certificate %d for a new connection, want 2", got)
	}
	open.counts() // under the old one

	key, err := os.ReadFile(files.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(){
		"another's key":  func() { files.write(3, time.Hour); files.put(files.key, key) },
		"cut short":      func() { files.write(4, time.Hour); files.put(files.cert, []byte("-----BEGIN CERT")) },
		"empty key":      func() { files.write(5, time.Hour); files.put(files.key, nil) },
		"no certificate": func() { _ = os.Remove(files.cert) },
	} {
		spoil()
		if err := files.Reload(); err == nil || !strings.Contains(err.Error(), files.cert) {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
		if got := serial(); got != 2 {
			t.Errorf("%s: certificate %d, want 2 to stay in use", name, got)
		}
	}
}

// A session that began under the old certificate is not resumed under the new.
func TestTLSReloadEndsSessions(t *testing.T) {
	t.Parallel()
	d, files := secured(t)
	config := files.trust()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumed := func() bool {
		t.Helper()
		raw, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		c := &client{tls.Client(raw, config), d}
		defer c.Close()
		c.counts() // the ticket comes before the reply
		return c.ConnectionState().DidResume
	}
	if resumed() || !resumed() {
		t.Fatal("the second connection should resume the first's session")
	}
	if err := files.Reload(); err != nil {
		t.Fatal(err)
	}
	if resumed() {
		t.Error("resumed after the certificate was read again")
	}
}

func TestTLSWarnings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		valid time.Duration
		mode  os.FileMode // of the key
		want  string
	}{
		{"as it should be", time.Hour, 0o600, ""},
		{"expired", -time.Hour, 0o600, "has expired"},
		{"key for everyone", time.Hour, 0o644, "every user"},
	} {
		files := newCertificate(t)
		files.write(1, c.valid)
		if err := os.Chmod(files.key, c.mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if _, err := ingress.LoadCertificate(files.cert, files.key, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: logged %q, want %q", c.name, got, c.want)
		}
	}
}

// certificate is a certificate that signed itself and its key, in files, with
// what reads them.
type certificate struct {
	*ingress.Certificate
	t         *testing.T
	cert, key string
	roots     *x509.CertPool // of every one that was written
}

func newCertificate(t *testing.T) *certificate {
	dir := t.TempDir()
	c := &certificate{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), roots: x509.NewCertPool()}
	c.write(1, time.Hour)
	return c
}

// write makes a certificate that is valid for a time from now on.
func (c *certificate) write(serial int64, valid time.Duration) {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		NotBefore:    time.Now().Add(-24 * time.Hour),
		NotAfter:     time.Now().Add(valid),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		c.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	c.roots.AddCert(leaf)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(c.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	c.put(c.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func (c *certificate) put(path string, content []byte) {
	c.t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// trust is the configuration of a client that trusts what has been written.
func (c *certificate) trust() *tls.Config {
	return &tls.Config{RootCAs: c.roots.Clone(), ServerName: "127.0.0.1"}
}

// secured opens a door with TLS, whose client speaks it too.
func secured(t *testing.T) (*door, *certificate) {
	t.Helper()
	files := newCertificate(t)
	var err error
	if files.Certificate, err = ingress.LoadCertificate(files.cert, files.key, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	d := prepare(t, func(c *ingress.Config) { c.TLS = files.Certificate })
	// The harness says http, so TLS comes with the connection.
	d.client.Transport = &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&tls.Dialer{Config: files.trust()}).DialContext(ctx, network, addr)
	}}
	d.start()
	return d, files
}

// client is one connection with TLS.
type client struct {
	*tls.Conn
	d *door
}

// dial connects with what the door's client connects with.
func (d *door) dial() *client {
	d.t.Helper()
	c, err := d.client.Transport.(*http.Transport).DialContext(context.Background(), "tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	return &client{c.(*tls.Conn), d}
}

// counts has an increment counted.
func (c *client) counts() {
	c.d.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://piccolo/increment", strings.NewReader("key=foo&value=10"))
	if err != nil {
		c.d.t.Fatal(err)
	}
	if err := req.Write(c); err != nil {
		c.d.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), req)
	if err != nil {
		c.d.t.Fatal(err)
	}
	r, err := readReply(res)
	if err != nil {
		c.d.t.Fatal(err)
	}
	c.d.acked(r, 200, "stored")
}
