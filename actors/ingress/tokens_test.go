package ingress_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

const tokensFile = `
# who counts
increment       cnt-1
read            read-1
  increment,read	both-1
read,increment,read both-2

#increment      commented-out
admin           adm/1+x~y.z_w==
`

// A request without a token that is known is 401, one whose token lacks the
// role 403, and neither counts anything. Health is open to everyone.
func TestTokensAndRoles(t *testing.T) {
	t.Parallel()
	d, trusted, _ := guarded(t, tokensFile)
	const admin = "Bearer adm/1+x~y.z_w=="
	for _, c := range []struct {
		name          string
		authorization []string
		count, read   int // status
	}{
		{"no header", nil, 401, 401},
		{"blank header", []string{""}, 401, 401},
		{"scheme alone", []string{"Bearer"}, 401, 401},
		{"scheme and a blank", []string{"Bearer "}, 401, 401},
		{"token alone", []string{"both-1"}, 401, 401},
		{"another scheme", []string{"Basic both-1"}, 401, 401},
		{"a scheme that begins alike", []string{"Bearers both-1"}, 401, 401},
		{"another token", []string{"Bearer nobody"}, 401, 401},
		{"the start of a token", []string{"Bearer both-"}, 401, 401},
		{"a token and more", []string{"Bearer both-1x"}, 401, 401},
		{"in capitals", []string{"Bearer BOTH-1"}, 401, 401},
		{"two tokens", []string{"Bearer both-1 both-2"}, 401, 401},
		{"token and parameter", []string{"Bearer both-1, realm=x"}, 401, 401},
		{"twice", []string{"Bearer both-1", "Bearer both-1"}, 401, 401},
		{"twice, once wrong", []string{"Bearer nobody", "Bearer both-1"}, 401, 401},
		{"in a comment", []string{"Bearer commented-out"}, 401, 401},
		{"a role", []string{"Bearer increment"}, 401, 401},

		{"increment", []string{"Bearer cnt-1"}, 200, 403},
		{"read", []string{"Bearer read-1"}, 403, 200},
		{"increment and read", []string{"Bearer both-1"}, 200, 200},
		{"read and increment", []string{"Bearer both-2"}, 200, 200},
		{"admin", []string{admin}, 200, 200},
		{"scheme in small letters", []string{"bearer both-1"}, 200, 200},
		{"many blanks", []string{"Bearer    both-1"}, 200, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, trusted := d.of(t), trusted.of(t)
			header := func() http.Header { return http.Header{"Authorization": c.authorization} }
			replace := max(c.count, c.read) // who may do some things may not do this
			if c.count+c.read == 200+200 && c.name != "admin" {
				replace = 403
			}
			for _, s := range []struct {
				request
				status int
				role   string
			}{
				{request{contentType: form, body: "key=foo&value=10", header: header()}, c.count, "increment"},
				{request{target: "/increment?key=foo&value=10", header: header()}, c.count, "increment"},
				{request{contentType: jsonObject, body: `{"key":"foo","value":10}`, header: header()}, c.count, "increment"},
				{request{method: http.MethodGet, target: "/v1/numbers/foo", header: header()}, c.read, "read"},
				{request{method: http.MethodPut, target: "/v1/numbers/foo?value=1", header: header()}, replace, "admin"},
				{request{method: http.MethodDelete, target: "/v1/numbers/foo", header: header()}, replace, "admin"},
			} {
				r := d.send(s.request)
				if s.status == 200 {
					if r.status != 200 {
						t.Errorf("%s %s: %d %s, want 200", s.method, s.target, r.status, r.body)
					}
					continue
				}
				p := d.declined(r, s.status)
				trusted.nothingWaits()
				if r.closes {
					t.Errorf("%s %s: the connection closes", s.method, s.target)
				}
				challenge := r.header.Get("WWW-Authenticate")
				if s.status == 401 && challenge != "Bearer" || s.status == 403 && challenge != "" {
					t.Errorf("%s %s: %d with WWW-Authenticate %q", s.method, s.target, s.status, challenge)
				}
				if s.status == 403 && !strings.Contains(p.Detail, s.role) {
					t.Errorf("detail %q does not name the role %s", p.Detail, s.role)
				}
				for _, token := range c.authorization {
					if words := strings.Fields(token); len(words) > 1 && strings.Contains(r.body, words[1]) && words[1] != s.role {
						t.Errorf("the refusal shows what came for a token: %s", r.body)
					}
				}
			}
			for _, target := range []string{"/livez", "/readyz"} {
				if r := d.send(request{method: http.MethodGet, target: target, header: header()}); r.status != 200 {
					t.Errorf("%s: %d, want 200 with any token and with none", target, r.status)
				}
			}
		})
	}
	statuses := make(map[int]uint64)
	d.in.Replies().Each(func(status int, _ string, n uint64) { statuses[status] += n })
	if statuses[401] == 0 || statuses[403] == 0 {
		t.Errorf("replies %v: 401 and 403 are not counted", statuses)
	}
}

// Who may not do it does not learn either whether it could be done.
func TestTokenComesBeforeTheRequestIsRead(t *testing.T) {
	t.Parallel()
	d, trusted, _ := guarded(t, tokensFile)
	d.reader.answer = nil // and nobody asks
	for _, r := range []request{
		{contentType: form, body: "value=none"},
		{contentType: "text/html", body: "key=foo&value=10"},
		{target: "/increment?ack=never&key=foo&value=10"},
		{method: http.MethodGet, target: "/v1/numbers/"},
		{method: http.MethodGet, target: "/v1/numbers/foo?after=x"},
	} {
		d.declined(d.send(r), 401)
	}
	trusted.nothingWaits()
	if r := d.send(request{method: http.MethodHead, target: "/v1/numbers/foo"}); r.status != 401 || r.body != "" {
		t.Errorf("HEAD: %d %q, want 401 without a body", r.status, r.body)
	}
	if r := d.send(request{method: http.MethodGet}); r.status != 405 {
		t.Errorf("GET /increment: %d, want 405 for everyone", r.status)
	}
}

// A stranger's body is not waited for.
func TestTokenComesBeforeTheBody(t *testing.T) {
	t.Parallel()
	d, _, _ := guarded(t, tokensFile)
	for _, path := range []string{"/increment", "/v1/increments"} {
		for _, framing := range []string{"Content-Length: 10000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n2710\r\n"} {
			head := "POST " + path + " HTTP/1.1\r\nHost: piccolo\r\n" + framing
			c, err := net.Dial("tcp", d.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil { // the server gives a body 30
				t.Fatal(err)
			}
			sent := strings.Repeat("k", 9_999)
			if _, err := io.WriteString(c, head+sent); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("%s, %q: %v", path, framing, err)
			}
			r, _ := readReply(res)
			d.declined(r, 401)
		}
	}
}

func TestTokensReload(t *testing.T) {
	t.Parallel()
	d, _, tokens := guarded(t, "increment old\nadmin root\n")
	as := func(token string) request {
		return request{body: "key=foo&value=10", header: http.Header{"Authorization": {"Bearer " + token}}}
	}
	d.acked(d.send(as("old")), 200, "stored")

	tokens.write("increment new\nadmin root\n")
	d.acked(d.send(as("old")), 200, "stored") // nothing has changed before the signal
	if err := tokens.Reload(); err != nil {
		t.Fatal(err)
	}
	d.declined(d.send(as("old")), 401)
	d.acked(d.send(as("new")), 200, "stored")

	for _, broken := range []string{"", "increment newer\nnonsense\n", "# all gone\n"} {
		tokens.write(broken)
		if err := tokens.Reload(); err == nil {
			t.Errorf("%q was taken", broken)
		}
		d.acked(d.send(as("new")), 200, "stored")
		d.declined(d.send(as("newer")), 401)
	}
	if err := os.Remove(tokens.path); err != nil {
		t.Fatal(err)
	}
	if err := tokens.Reload(); err == nil {
		t.Error("a file that is gone was read")
	}
	d.acked(d.send(as("new")), 200, "stored")
	d.declined(d.send(as("old")), 401)

	tokens.write("read new\nadmin root\n") // less than before
	if err := tokens.Reload(); err != nil {
		t.Fatal(err)
	}
	d.declined(d.send(as("new")), 403)
}

// While a file is read again, requests go by the old tokens or by the new.
func TestTokensReloadUnderRequests(t *testing.T) {
	t.Parallel()
	d, _, tokens := guarded(t, "admin root\nincrement always\n")
	reloads := make(chan error)
	go func() {
		defer close(reloads)
		for range 50 {
			reloads <- tokens.Reload()
		}
	}()
	for err := range reloads {
		if err != nil {
			t.Error(err)
		}
		d.acked(d.send(request{body: "key=foo&value=1", header: http.Header{"Authorization": {"Bearer always"}}}), 200, "stored")
	}
}

// The error says in which line the mistake is, and nothing that is secret.
func TestTokensFileThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "no token"},
		{"comments only", "# increment s3cr3t\n\n", "no token"},
		{"token alone", "s3cr3t\n", "line 1 is not roles and a token"},
		{"role alone", "read ok\nincrement\n", "line 2 is not roles and a token"},
		{"three words", "\n# a\nincrement read s3cr3t\n", "line 3 is not roles and a token"},
		{"blank after the comma", "increment, read s3cr3t\n", "line 1 is not roles and a token"},
		{"comment behind", "increment s3cr3t # checkout\n", "line 1 is not roles and a token"},
		{"unknown role", "read ok\n\nwrite s3cr3t\n", "line 3: a role is none of increment, read, admin"},
		{"role in capitals", "Increment s3cr3t\n", "line 1: a role is none of increment, read, admin"},
		{"no role after the comma", "increment, s3cr3t\n", "line 1: a role is none of increment, read, admin"},
		{"words swapped", "s3cr3t increment,read\n", "line 1: a role is none of increment, read, admin"},
		{"another separator", "increment:s3cr3t x\n", "line 1: a role is none of increment, read, admin"},
		{"token in quotes", "increment \"s3cr3t\"\n", "line 1: the token is not one that a client can send"},
		{"token of no ASCII", "increment s3cr3t\u00e9\n", "line 1: the token is not one that a client can send"},
		{"= within the token", "increment s3=cr3t\n", "line 1: the token is not one that a client can send"},
		{"= alone", "increment ==\n", "line 1: the token is not one that a client can send"},
		{"token twice", "increment s3cr3t\n# and\nread s3cr3t\n", "line 3 has the token of line 1"},
		{"byte order mark", "\ufeffincrement s3cr3t\n", "line 1: a role is none of increment, read, admin"},
		{"no text", "\x00\xff\xfe\n", "line 1 is not roles and a token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newTokens(t, c.file)
			_, err := ingress.LoadTokens(f.path, slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("taken")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), f.path) {
				t.Errorf("%v: want the file and %q", err, c.want)
			}
			if strings.Contains(err.Error(), "cr3t") {
				t.Errorf("%v: shows the token", err)
			}
		})
	}
}

func TestTokensFileOfAnyLineEnds(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"admin s3cr3t", "admin s3cr3t\n", "admin s3cr3t\r\n", "\r\n# a\r\nadmin\ts3cr3t  \r\n"} {
		if _, err := ingress.LoadTokens(newTokens(t, file).path, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("%q: %v", file, err)
		}
	}
}

func TestTokensFileThatEveryoneCanRead(t *testing.T) {
	t.Parallel()
	for mode, warns := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o400: false, 0o644: true, 0o602: true} {
		f := newTokens(t, "admin s3cr3t\n")
		if err := os.Chmod(f.path, mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if _, err := ingress.LoadTokens(f.path, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), f.path); got != warns {
			t.Errorf("mode %o: logged %q, want a warning: %t", mode, log.String(), warns)
		}
	}
}

// tokens is a file of tokens, with what reads it.
type tokens struct {
	*ingress.Tokens
	t    *testing.T
	path string
}

func newTokens(t *testing.T, content string) *tokens {
	t.Helper()
	f := &tokens{t: t, path: filepath.Join(t.TempDir(), "tokens")}
	f.write(content)
	return f
}

func (f *tokens) write(content string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// guarded opens a door that asks for the tokens of a file, the last of which
// is an admin's. The second door is the same one for who has that token.
func guarded(t *testing.T, content string) (d, trusted *door, file *tokens) {
	t.Helper()
	file = newTokens(t, content)
	var err error
	if file.Tokens, err = ingress.LoadTokens(file.path, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	d = open(t, func(c *ingress.Config) { c.Tokens = file.Tokens })
	d.reader.answer = func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) {
		return value(q, 7), nil
	}
	words := strings.Fields(content)
	trusted = d.of(t)
	trusted.client = &http.Client{Transport: bearer{d.client.Transport, words[len(words)-1]}}
	return d, trusted, file
}

// bearer sends a token with every request.
type bearer struct {
	http.RoundTripper
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.RoundTripper.RoundTrip(r)
}
