package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// Remote says how to reach a NATS server outside this process.
type Remote struct {
	URL   string // or several, separated by commas
	Creds string // a file
	CA    string // a file, of who signed the server's certificate
	Cert  string // a file; with Key, this client's certificate
	Key   string
	NKey  string // a file, of the user's seed
	Role  Role   // what the server lets this user do; it decides where answers come
}

// Connect connects to a NATS server. Once connected, it keeps trying to connect
// again for as long as the bus is open.
func Connect(r Remote, name string, log *slog.Logger) (*Bus, error) {
	opts, err := r.options()
	if err != nil {
		return nil, err
	}
	b, err := connect(r.URL, name, log, opts)
	if errors.As(err, new(*url.Error)) { // it has the password in it, or a part
		return nil, fmt.Errorf("connect to NATS at %s: that cannot be read as a URL: it is as in nats://127.0.0.1:4222, and signs in a password are written as in %%2F, for /", Redacted(r.URL))
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w: %s", Redacted(r.URL), err, r.advice(err))
	}
	return b, nil
}

// Redacted is addresses of NATS servers, separated by commas, as they may be
// printed: without a password, or a token, which stands where a user's name would.
func Redacted(urls string) string {
	each := strings.Split(urls, ",")
	for i, u := range each {
		// In one that cannot be read as a URL it is to be found, too.
		scheme, rest, has := strings.Cut(u, "://")
		if !has {
			scheme, rest = "", u
		}
		at := strings.LastIndex(rest, "@")
		if at < 0 {
			continue
		}
		if user, _, password := strings.Cut(rest[:at], ":"); password {
			rest = user + ":xxxxx" + rest[at:]
		} else {
			rest = "xxxxx" + rest[at:]
		}
		if each[i] = rest; has {
			each[i] = scheme + "://" + rest
		}
	}
	return strings.Join(each, ",")
}

// Away says whether an error of Connect is that no server answers, rather than
// that one refuses.
func Away(err error) bool {
	var op *net.OpError
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &op) && op.Op == "dial" || hangs(err)
}

// hangs says whether a server accepted the connection, and then said nothing.
func hangs(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op != "dial" && op.Timeout()
}

func (r *Remote) options() (opts []nats.Option, err error) {
	if r.Creds != "" {
		// The client reads it only when a server asks who this is.
		if _, err := os.ReadFile(r.Creds); err != nil {
			return nil, fmt.Errorf("the user's NATS credentials (--nats-creds): %w", err)
		}
		opts = append(opts, nats.UserCredentials(r.Creds))
	}
	if r.NKey != "" {
		opt, err := nats.NkeyOptionFromSeed(r.NKey)
		if err != nil {
			return nil, fmt.Errorf("the user's nkey %s: %w: piccolo auth makes one", r.NKey, err)
		}
		opts = append(opts, opt)
	}
	if r.Role != "" {
		opts = append(opts, nats.CustomInboxPrefix(r.Role.Inbox()))
	}
	if r.CA != "" {
		opts = append(opts, nats.RootCAs(r.CA))
	}
	if r.Cert != "" || r.Key != "" {
		opts = append(opts, nats.ClientCert(r.Cert, r.Key))
	}
	return opts, nil
}

// advice says what to do about an error of connecting.
func (r *Remote) advice(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		notTLS   tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown) && r.CA == "":
		return "give the certificate of who signed the server's with --nats-ca"
	case errors.As(err, &unknown):
		return fmt.Sprintf("--nats-ca %s did not sign the server's certificate: give the file of who did", r.CA)
	case errors.As(err, &hostname):
		return "use an address that the server's certificate names, or have one made that names this one"
	case errors.As(err, &invalid):
		return "is the server's certificate still good, and the clock right?"
	case errors.As(err, &notTLS), errors.Is(err, nats.ErrSecureConnWanted):
		return "the server does not speak TLS: leave out --nats-ca, --nats-cert and --nats-key, or give it a certificate of its own"
	case fromPeer(err) && r.Cert == "":
		return "the server wants a certificate of its clients: give one with --nats-cert and --nats-key"
	case fromPeer(err):
		return fmt.Sprintf("the server does not take the certificate --nats-cert %s: is it signed by whom the server trusts?", r.Cert)
	case errors.Is(err, nats.ErrAuthorization) && r.NKey == "" && r.Creds == "":
		return "the server wants to know who this is: say so with --nats-nkey or --nats-creds; piccolo auth makes a user for each role"
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Sprintf("the server does not let in the user of %s: does its configuration have what piccolo auth prints, and was it read since?", r.NKey+r.Creds)
	case hangs(err):
		return "it accepts connections and says nothing: see its log, or restart it; where its tls block has handshake_first: true, set that to auto"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission),
		strings.HasPrefix(err.Error(), "nats: error loading"), strings.HasPrefix(err.Error(), "nats: failed to parse"):
		return "check --nats-ca, --nats-cert and --nats-key"
	}
	return "is a nats-server running there, and does it let this user in?"
}

// fromPeer says whether err is the server's refusal of a TLS connection, of
// which the libraries say so in words alone. With TLS 1.3 it comes after the
// handshake, and may be overtaken by the end of the connection.
func fromPeer(err error) bool {
	return strings.Contains(err.Error(), "remote error: tls:") || strings.Contains(err.Error(), "closed by remote after TLS handshake")
}
