package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/actors/admin"
)

// A name that somebody else has resolve to loopback is not answered, nor is
// another site's page.
func TestForeignPagesAreKeptOut(t *testing.T) {
	t.Parallel()
	p := serve(t, admin.NewMetrics("1.2.3"))
	_, port, _ := strings.Cut(p.addr, ":")
	for _, c := range []struct {
		host, origin string
		status       int
	}{
		{p.addr, "", 200},
		{"localhost:" + port, "", 200},
		{"LOCALHOST", "", 200},
		{"piccolo.localhost:" + port, "", 200},
		{"[::1]:" + port, "", 200},
		{"127.1.2.3", "", 200},
		{"evil.example:" + port, "", 403},
		{"127.0.0.1.evil.example", "", 403},
		{"localhost.evil.example", "", 403},
		{"192.168.1.1:" + port, "", 403},
		{p.addr, "http://" + p.addr, 200},
		{p.addr, "http://evil.example", 403},
		{p.addr, "null", 403},
		{p.addr, "http://localhost:" + port, 403}, // another name, so another origin
	} {
		for _, path := range []string{"/", "/metrics", "/find?prefix=foo", "/debug/pprof/cmdline"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.addr+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = c.host
			if c.origin != "" {
				req.Header.Set("Origin", c.origin)
			}
			res, err := p.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != c.status {
				t.Errorf("host %q, origin %q, %s: %d, want %d", c.host, c.origin, path, res.StatusCode, c.status)
			}
			if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("Content-Security-Policy %q", csp)
			}
		}
	}
}
