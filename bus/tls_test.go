package bus_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/piccolo-counter/piccolo/bus"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	file string // its own certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.crt")}
	a.cert, a.key = a.make(&x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour),
	}, a.file)
	return a
}

// make signs a certificate and writes it to a file. The first is the authority's
// own, which its own key signs.
func (a *authority) make(template *x509.Certificate, file string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: filepath.Base(file)}
	template.NotBefore = time.Now().Add(-24 * time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	writePEM(a.t, file, "CERTIFICATE", der)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue returns the files of a certificate for an address.
func (a *authority) issue(name, address string, end time.Time) (cert, key string) {
	a.t.Helper()
	dir := a.t.TempDir()
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	_, private := a.make(&x509.Certificate{
		NotAfter: end, IPAddresses: []net.IP{net.ParseIP(address)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, cert)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	writePEM(a.t, key, "PRIVATE KEY", der)
	return cert, key
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runServer runs a nats-server with a configuration, as an operator would.
func runServer(t *testing.T, config string) (url string) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: 127.0.0.1:-1\njetstream { store_dir: %q, sync_interval: always }\n%s", dir, config)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(conf)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	opts.NoSigs = true
	ns, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	go ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	return "nats://" + ns.Addr().String()
}

// tlsBlock has a server speak TLS, with clients that clients signed, or any.
func tlsBlock(cert, key string, clients *authority) string {
	verify := ""
	if clients != nil {
		verify = fmt.Sprintf("ca_file: %q, verify: true", clients.file)
	}
	return fmt.Sprintf("tls { cert_file: %q, key_file: %q, %s }\n", cert, key, verify)
}

// works makes a stream and stores a batch.
func works(t *testing.T, r bus.Remote) {
	t.Helper()
	b, err := bus.Connect(r, "test", quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Provision(soon(t), options); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(soon(t), message(1, 1, "foo", 1)); err != nil {
		t.Fatal(err)
	}
}

// refused connects in vain, and is told what to do.
func refused(t *testing.T, r bus.Remote, advice string) {
	t.Helper()
	b, err := bus.Connect(r, "test", quiet)
	if err == nil {
		b.Close()
		t.Fatalf("connected, want an error that says %q", advice)
	}
	if !strings.Contains(err.Error(), advice) {
		t.Errorf("%q does not say %q", err, advice)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	serverCert, serverKey := ours.issue("server", "127.0.0.1", later)
	url := runServer(t, tlsBlock(serverCert, serverKey, nil))
	works(t, bus.Remote{URL: url, CA: ours.file})
	refused(t, bus.Remote{URL: url}, "give the certificate of who signed the server's with --nats-ca")
	refused(t, bus.Remote{URL: url, CA: other.file}, "--nats-ca "+other.file+" did not sign the server's certificate")
	refused(t, bus.Remote{URL: url, CA: "/does/not/exist"}, "check --nats-ca")
	refused(t, bus.Remote{URL: url, CA: serverKey}, "check --nats-ca")
	refused(t, bus.Remote{URL: strings.Replace(url, "127.0.0.1", "localhost", 1), CA: ours.file}, "an address that the server's certificate names")

	oldCert, oldKey := ours.issue("server", "127.0.0.1", time.Now().Add(-time.Hour))
	refused(t, bus.Remote{URL: runServer(t, tlsBlock(oldCert, oldKey, nil)), CA: ours.file}, "is the server's certificate still good")
	refused(t, bus.Remote{URL: runServer(t, ""), CA: ours.file}, "the server does not speak TLS")
}

func TestTLSOfTheClient(t *testing.T) {
	t.Parallel()
	servers, clients := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	serverCert, serverKey := servers.issue("server", "127.0.0.1", later)
	url := runServer(t, tlsBlock(serverCert, serverKey, clients))
	cert, key := clients.issue("client", "127.0.0.2", later)
	works(t, bus.Remote{URL: url, CA: servers.file, Cert: cert, Key: key})
	refused(t, bus.Remote{URL: url, CA: servers.file}, "give one with --nats-cert and --nats-key")
	cert, key = servers.issue("client", "127.0.0.2", later)
	refused(t, bus.Remote{URL: url, CA: servers.file, Cert: cert, Key: key}, "the server does not take the certificate --nats-cert "+cert)
	refused(t, bus.Remote{URL: url, CA: servers.file, Cert: cert, Key: "/does/not/exist"}, "check --nats-ca, --nats-cert and --nats-key")
}

func TestTLSWithUsers(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	cert, key := ours.issue("server", "127.0.0.1", time.Now().Add(time.Hour))
	seed := filepath.Join(t.TempDir(), "admin.nk")
	user, err := bus.UserKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	url := runServer(t, tlsBlock(cert, key, nil)+fmt.Sprintf("authorization { users = [ { nkey: %s } ] }\n", user))
	works(t, bus.Remote{URL: url, CA: ours.file, NKey: seed})
	refused(t, bus.Remote{URL: url, CA: ours.file}, "say so with --nats-nkey or --nats-creds")
	refused(t, bus.Remote{URL: url, CA: ours.file, NKey: "/does/not/exist"}, "piccolo auth makes one")
}

// Credentials are what a server with an operator hands out: a user's JWT and seed
// in one file.
func TestCredentials(t *testing.T) {
	t.Parallel()
	pair := func(make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		p, err := make()
		if err != nil {
			t.Fatal(err)
		}
		public, err := p.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return p, public
	}
	sign := func(c jwt.Claims, by nkeys.KeyPair) string {
		text, err := c.Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	operator, operatorID := pair(nkeys.CreateOperator)
	account, accountID := pair(nkeys.CreateAccount)
	_, systemID := pair(nkeys.CreateAccount)
	oc := jwt.NewOperatorClaims(operatorID)
	oc.SystemAccount = systemID
	ac := jwt.NewAccountClaims(accountID)
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: 1 << 24, Streams: 1, Consumer: 10}
	url := runServer(t, fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload { %s: %s, %s: %s }\n",
		sign(oc, operator), accountID, sign(ac, operator), systemID, sign(jwt.NewAccountClaims(systemID), operator)))

	// creds is the file of a user that was signed by an account.
	creds := func(by nkeys.KeyPair) string {
		user, userID := pair(nkeys.CreateUser)
		seed, err := user.Seed()
		if err != nil {
			t.Fatal(err)
		}
		text, err := jwt.FormatUserConfig(sign(jwt.NewUserClaims(userID), by), seed)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "user.creds")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	works(t, bus.Remote{URL: url, Creds: creds(account), Role: bus.RoleAdmin})
	stranger, _ := pair(nkeys.CreateAccount)
	file := creds(stranger)
	refused(t, bus.Remote{URL: url, Creds: file}, "does not let in the user of "+file)
	refused(t, bus.Remote{URL: url}, "say so with --nats-nkey or --nats-creds")
	refused(t, bus.Remote{URL: url, Creds: "/does/not/exist"}, "--nats-creds")
}
