package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAsPiccolo is no test: it makes this binary piccolo, for the tests that
// start it as a process of its own and send it signals.
func TestAsPiccolo(t *testing.T) {
	if os.Getenv("TEST_AS_PICCOLO") == "" {
		t.Skip("for other tests")
	}
	os.Exit(command(flag.Args(), os.Stdout, os.Stderr))
}

// A service goes on with the files as they are after SIGHUP, and with what it
// had where they cannot be used.
func TestHangupReloads(t *testing.T) {
	dir := t.TempDir()
	tokens, cert, key := filepath.Join(dir, "tokens"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, tokens, "increment,read first\n")
	writeCertificate(t, cert, key, 1)
	p := startAllInOne(t, "--listen", "127.0.0.1:0", "--tokens", tokens, "--tls-cert", cert, "--tls-key", key)
	p.expect(1, "", 401)
	p.expect(1, "first", 200)
	if !strings.HasPrefix(p.api, "https://") || !strings.Contains(p.greeting, "API       "+p.api+"\n") ||
		!strings.Contains(p.greeting, "curl -H 'Authorization: Bearer TOKEN' -d 'key=foo&value=10' "+p.api+"/increment") {
		t.Errorf("api %s, greeting %s", p.api, p.greeting)
	}

	writeFile(t, tokens, "increment,read second\n")
	writeCertificate(t, cert, key, 2)
	p.signal(syscall.SIGHUP)
	p.logs("reloaded", "what", "tokens")
	p.logs("reloaded", "what", "TLS certificate")
	p.expect(2, "first", 401)
	p.expect(2, "second", 200)

	writeFile(t, tokens, "third\n")
	writeFile(t, cert, "none\n")
	p.signal(syscall.SIGHUP)
	if line := p.logs("reload failed", "what", "tokens"); line["level"] != "ERROR" || !strings.Contains(line["error"].(string), "line 1") {
		t.Errorf("logged %v", line)
	}
	if line := p.logs("reload failed", "what", "TLS certificate"); line["level"] != "ERROR" || !strings.Contains(line["error"].(string), cert) {
		t.Errorf("logged %v", line)
	}
	p.expect(2, "second", 200)
	p.stop()
	if p.count("third") > 0 {
		t.Error("the log shows a line of the file of tokens")
	}
	if p.count("anyone who can reach") > 0 {
		t.Error("warned of an API that is not open")
	}
}

func TestHangupWithNothingToReload(t *testing.T) {
	p := startAllInOne(t, "--listen", "127.0.0.1:0")
	for range 3 {
		p.signal(syscall.SIGHUP)
		p.logs("nothing to reload", "", "")
		p.expect(0, "", 200)
	}
	if !strings.HasPrefix(p.api, "http://") || !strings.Contains(p.greeting, "curl -d 'key=foo&value=10' "+strings.TrimPrefix(p.api, "http://")+"/increment") {
		t.Errorf("api %s, greeting %s", p.api, p.greeting)
	}
	p.stop()
	if p.count("anyone who can reach") > 0 {
		t.Error("warned of a listener on loopback")
	}
}

// An ingress alone does the same, around a NATS server.
func TestHangupOfAnIngress(t *testing.T) {
	hub := startAllInOne(t, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	nats := regexp.MustCompile(`nats://\S+`).FindString(hub.greeting)
	p := start(t, "ingress", "--nats", nats, "--listen", "127.0.0.1:0")
	p.signal(syscall.SIGHUP)
	p.logs("nothing to reload", "", "")
	p.expect(0, "", 200)
	p.stop()

	tokens := filepath.Join(t.TempDir(), "tokens")
	writeFile(t, tokens, "increment,read first\n")
	p = start(t, "ingress", "--nats", nats, "--listen", "127.0.0.1:0", "--tokens", tokens)
	p.expect(0, "", 401)
	p.expect(0, "first", 200)
	writeFile(t, tokens, "increment,read second\n")
	p.signal(syscall.SIGHUP)
	p.logs("reloaded", "what", "tokens")
	p.expect(0, "second", 200)
	p.stop()
}

// Where other machines can reach an API that asks nobody who they are, the log
// says so, once.
func TestWarnsOfAnOpenAPI(t *testing.T) {
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	writeFile(t, tokens, "admin s3cr3t\n")
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--listen", ":0"}, 1},
		{[]string{"--listen", "0.0.0.0:0"}, 1},
		{[]string{"--listen", "localhost:0"}, 0},
		{[]string{"--listen", ":0", "--tokens", tokens}, 0},
	} {
		p := startAllInOne(t, c.args...) // the warning comes before it is ready
		if got := p.count("anyone who can reach"); got != c.want {
			t.Errorf("%v: %d warnings, want %d: %s", c.args, got, c.want, p.all.String())
		}
		for _, want := range []string{"--listen 127.0.0.1:3333", "--tokens", "--tls-cert"} {
			if c.want > 0 && !strings.Contains(p.all.String(), want) {
				t.Errorf("%v: the warning does not say %s", c.args, want)
			}
		}
	}
}

// process is piccolo in a process of its own.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	stderr   *bufio.Reader
	all      strings.Builder // what has been read of stderr
	greeting string          // what comes before the line that says it is ready
	api      string          // its URL
}

func startAllInOne(t *testing.T, args ...string) *process {
	t.Helper()
	return start(t, "all-in-one", append([]string{"--nats-listen", "off"}, args...)...)
}

// start starts a command and returns when it says that it is ready.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := prepare(t, name, append([]string{"--data", t.TempDir()}, args...)...)
	p.run()
	return p
}

// prepare makes a process that has not been started.
func prepare(t *testing.T, name string, args ...string) *process {
	args = append([]string{"-test.run=^TestAsPiccolo$", "--", "--log-format=json", name, "--admin", "127.0.0.1:0"}, args...)
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), "TEST_AS_PICCOLO=1")
	return p
}

// run starts the process and returns when it says that it is ready.
func (p *process) run() {
	p.t.Helper()
	p.start()
	ready := p.logs("ready", "", "")
	p.greeting = p.all.String()
	p.api = ready["api"].(string)
}

func (p *process) start() {
	p.t.Helper()
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { // does nothing after stop
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	p.stderr = bufio.NewReader(pipe)
}

// logs reads the log up to a line with these words and this attribute.
func (p *process) logs(words, attr, value string) map[string]any {
	p.t.Helper()
	defer time.AfterFunc(2*time.Minute, func() { _ = p.cmd.Process.Kill() }).Stop() // which ends its log
	for {
		text, err := p.stderr.ReadString('\n')
		p.all.WriteString(text)
		if err != nil {
			p.t.Fatalf("%v before it logged %q: %s", err, words, p.all.String())
		}
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) != nil {
			continue // the greeting
		}
		if msg, _ := line["msg"].(string); strings.Contains(msg, words) && (attr == "" || line[attr] == value) {
			return line
		}
	}
}

func (p *process) count(words string) int { return strings.Count(p.all.String(), words) }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// stop has it stop by itself, which must succeed, also when it gets SIGHUP
// meanwhile.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.logs("stopping", "", "")
	p.signal(syscall.SIGHUP)
	rest, err := io.ReadAll(p.stderr)
	p.all.Write(rest)
	if err != nil {
		p.t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%v: %s", err, p.all.String())
	}
}

// expect counts something over a new connection, and checks the status and the
// serial number of the server's certificate, 0 for none.
func (p *process) expect(serial int64, token string, status int) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.api+"/increment", strings.NewReader("key=foo&value=10"))
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	// The certificate signed itself; its number says which it is.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != status {
		p.t.Errorf("token %q: %s, want %d", token, res.Status, status)
	}
	var got int64
	if res.TLS != nil {
		got = res.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if got != serial {
		p.t.Errorf("certificate %d, want %d", got, serial)
	}
}

func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}
