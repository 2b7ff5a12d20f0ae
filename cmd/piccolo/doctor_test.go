package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/piccolo-counter/piccolo/internal/port"
)

// Of a service that does its work everything is well, and a stream that is not
// fsynced is warned of.
func TestDoctorOfAService(t *testing.T) {
	for sync, says := range map[string]string{"always": "the stream is fsynced before each acknowledgement", "interval": "a power cut loses increments that were acknowledged"} {
		data := t.TempDir()
		p := startAllInOne(t, "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--sync", sync)
		nats := regexp.MustCompile(`nats://\S+`).FindString(p.greeting)
		admin := strings.TrimPrefix(adminOf(p), "http://")
		increment(t.Context(), p.api, "foo", 1, "applied")
		code, stdout, stderr := piccoloRun(t, "doctor", "--data", data, "--nats", nats, "--admin", admin)
		if code != 0 || !strings.Contains(stdout, says) || !strings.Contains(stdout, "ready") || strings.Contains(stdout, "WRONG") {
			t.Errorf("--sync %s: exit %d: %s%s", sync, code, stdout, stderr)
		}
		p.stop()
	}
}

// guarded runs a NATS server that knows the users of piccolo auth, each without
// a subject, and returns its URL and the directory of their keys.
func guarded(t *testing.T, without string) (url, keys string) {
	t.Helper()
	keys = t.TempDir()
	code, users, stderr := piccoloRun(t, "auth", "--dir", keys)
	if code != 0 {
		t.Fatal(stderr)
	}
	line := fmt.Sprintf("            %q\n", without)
	if without != "" && !strings.Contains(users, line) {
		t.Fatalf("nobody may use %s", without)
	}
	dir := t.TempDir()
	return natsOfUsers(t, dir, strings.ReplaceAll(users, line, "")).ClientURL(), keys
}

// natsOfUsers runs a NATS server in dir, with the users of a configuration.
func natsOfUsers(t *testing.T, dir, users string) *server.Server {
	t.Helper()
	conf := filepath.Join(dir, "nats.conf")
	writeFile(t, conf, fmt.Sprintf("listen: 127.0.0.1:-1\njetstream { store_dir: %q, sync_interval: always }\n%s", dir, users))
	opts, err := server.ProcessConfigFile(conf)
	if err != nil {
		t.Fatalf("%v in\n%s", err, users)
	}
	opts.NoSigs = true
	return runNATS(t, opts)
}

// runNATS runs a NATS server until the test ends.
func runNATS(t *testing.T, opts *server.Options) *server.Server {
	t.Helper()
	ns, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	go ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(2 * time.Minute) {
		t.Fatal("the NATS server is not ready")
	}
	return ns
}

// The NATS user of each role may do its work; without a subject that it needs,
// that is named, and what to do about it.
func TestDoctorOfNATSUsers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role, without string
		args          []string
		says          []string
	}{
		{"ingress", "", nil, []string{`ok +permissions +this user may do all that is needed as ingress$`, `warning +stream +this user may not look at it, and need not`}},
		{"writer", "", nil, []string{`ok +permissions +this user may do all that is needed as writer$`}},
		{"admin", "", nil, []string{`ok +permissions +this user may do all that is needed as admin, observer$`, `ok +stream +PICCOLO with 1 partition`}},
		{"observer", "", nil, []string{`ok +permissions +this user may do all that is needed as observer$`, `ok +stream +PICCOLO with 1 partition`}},
		{"ingress", "piccolo.deltas.*", nil, []string{`WRONG +permissions +this user may not publish to "piccolo.deltas.\*", as an ingress does$`, `→ add that to the user's permissions: piccolo auth`}},
		{"writer", "$JS.API.STREAM.PURGE.PICCOLO", nil, []string{`WRONG +permissions +this user may not publish to "\$JS.API.STREAM.PURGE.PICCOLO", as a writer does$`}},
		{"admin", "$JS.API.STREAM.*.PICCOLO", []string{"--role", "admin"}, []string{`WRONG +permissions +this user may not publish to "\$JS.API.STREAM.\*.PICCOLO", as an admin does$`}},
		{"ingress", "", []string{"--role", "writer"}, []string{`WRONG +permissions +this user may not subscribe to "piccolo.query.\*", as a writer does$`}},
		{"observer", "$SYS.REQ.USER.INFO", nil, []string{`warning +permissions +the NATS server does not say what this user may do`, `ok +stream +PICCOLO`}},
	} {
		t.Run(strings.Join(append([]string{c.role, c.without}, c.args...), " "), func(t *testing.T) {
			t.Parallel()
			nats, keys := guarded(t, c.without)
			if code, _, stderr := piccoloRun(t, "stream", "init", "--nats", nats, "--nats-nkey", filepath.Join(keys, "admin.nk")); code != 0 && c.role != "admin" {
				t.Fatal(stderr)
			}
			args := append([]string{"doctor", "--nats", nats, "--nats-nkey", filepath.Join(keys, c.role+".nk"), "--data", t.TempDir(), "--admin", port.Free(t), "--listen", "127.0.0.1:0"}, c.args...)
			code, stdout, stderr := piccoloRun(t, args...)
			wrong := false
			for _, says := range c.says {
				wrong = wrong || strings.HasPrefix(says, "WRONG")
				if !regexp.MustCompile(`(?m)` + says).MatchString(stdout) {
					t.Errorf("no %q in\n%s", says, stdout)
				}
			}
			if (code == exitBroken) != wrong {
				t.Errorf("exit %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

// A server that accepts connections and says nothing is not called a stranger:
// who hangs is restarted, and who wants TLS first is told not to.
func TestDoctorOfSilentServers(t *testing.T) {
	t.Parallel()
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	for name, addr := range map[string]string{"hangs": hangs.Addr().String(), "TLS first": tlsFirst(t)} {
		code, stdout, stderr := piccoloRun(t, "doctor", "--nats", "nats://"+addr, "--admin", hangs.Addr().String(), "--listen", "127.0.0.1:0", "--data", t.TempDir())
		if code != exitBroken {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
		for _, says := range []string{
			`WRONG +nats +` + addr + ` accepts connections and says nothing: it hangs, or wants TLS first\n +→ see the server's log, or restart it; .*handshake_first`,
			`WRONG +service +what listens on ` + hangs.Addr().String() + ` does not answer: it may hang\n +→ see the log of the piccolo there, or restart it`,
		} {
			if !regexp.MustCompile(says).MatchString(stdout) {
				t.Errorf("%s: no %q in\n%s", name, says, stdout)
			}
		}
	}
}

// tlsFirst runs a NATS server that says nothing before TLS, and returns its address.
func tlsFirst(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, 1)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return runNATS(t, &server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}, TLSHandshakeFirst: true, TLSTimeout: 10,
	}).Addr().String()
}
