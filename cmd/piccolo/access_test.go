package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Half of what TLS takes is a usage error, wherever it was said.
func TestTLSTakesCertificateAndKey(t *testing.T) {
	dir := t.TempDir()
	yaml := filepath.Join(dir, "piccolo.yaml")
	writeFile(t, yaml, "tls-key: key.pem\n")
	for _, name := range []string{"all-in-one", "ingress"} {
		for _, c := range []struct {
			args []string
			env  string
			want string
		}{
			{[]string{name, "--tls-cert", "cert.pem"}, "", "--tls-cert without --tls-key"},
			{[]string{name, "--tls-key", "key.pem"}, "", "--tls-key without --tls-cert"},
			{[]string{name}, "PICCOLO_TLS_CERT", "--tls-cert without --tls-key"},
			{[]string{name}, "PICCOLO_TLS_KEY", "--tls-key without --tls-cert"},
			{[]string{"--config", yaml, name}, "", "--tls-key without --tls-cert"},
		} {
			t.Run(strings.Join(c.args, " ")+c.env, func(t *testing.T) {
				if c.env != "" {
					t.Setenv(c.env, "file.pem")
				}
				var stdout, stderr bytes.Buffer
				code := command(c.args, &stdout, &stderr)
				if code != exitUsage || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
					t.Errorf("exit %d, stderr %q, stdout %q: want %d and %q", code, stderr.String(), stdout.String(), exitUsage, c.want)
				}
			})
		}
	}
}

// Who does not serve the API has no flags for it.
func TestWriterHasNoTokens(t *testing.T) {
	for _, flag := range []string{"--tokens", "--tls-cert", "--tls-key"} {
		var stdout, stderr bytes.Buffer
		if code := command([]string{"writer", flag, "file"}, &stdout, &stderr); code != exitUsage {
			t.Errorf("writer %s: exit %d, want %d", flag, code, exitUsage)
		}
	}
}

// A file that cannot be used stops the start, and the error says which it is,
// what is wrong and what is right, and no token. What no restart mends is a
// mistake in the settings.
func TestStartWithFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	writeFile(t, bad, "# ours\nincrement s3cr3t and more\n")
	gone := filepath.Join(dir, "gone")
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--tokens", bad}, exitUsage, []string{bad, "line 2", "increment,read TOKEN"}},
		{[]string{"--tokens", gone}, exitFailed, []string{gone, "no such file", "--tokens"}},
		{[]string{"--tls-cert", bad, "--tls-key", bad}, exitUsage, []string{bad, "PEM", "--tls-cert"}},
		{[]string{"--tls-cert", gone, "--tls-key", bad}, exitFailed, []string{gone, "no such file", "--tls-cert"}},
	} {
		args := append([]string{
			"all-in-one", "--data", filepath.Join(dir, "data"), "--nats-listen", "off", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		}, c.args...)
		var stdout, stderr bytes.Buffer
		if code := command(args, &stdout, &stderr); code != c.code {
			t.Errorf("%v: exit %d, want %d", c.args, code, c.code)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%v: %s\ndoes not say %q", c.args, stderr.String(), want)
			}
		}
		if strings.Contains(stderr.String(), "s3cr3t") {
			t.Errorf("%v: %s\nshows the token", c.args, stderr.String())
		}
	}
}

func TestURLSaysHowToReachTheListener(t *testing.T) {
	for _, c := range []struct{ scheme, addr, want string }{
		{"http", "127.0.0.1:3333", "http://127.0.0.1:3333"},
		{"https", "127.0.0.1:3333", "https://127.0.0.1:3333"},
		{"https", "[::]:3333", "https://localhost:3333"},
		{"http", "0.0.0.0:80", "http://localhost:80"},
		{"http", "[::1]:3333", "http://[::1]:3333"},
	} {
		addr, err := net.ResolveTCPAddr("tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := url(c.scheme, addr); got != c.want {
			t.Errorf("%s: %s, want %s", c.addr, got, c.want)
		}
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
