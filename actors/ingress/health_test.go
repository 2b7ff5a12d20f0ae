package ingress_test

import (
	"context"
	"net/http"
	"testing"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct{ method, target, body string }{
		{http.MethodGet, "/livez", "ok\n"},
		{http.MethodHead, "/livez", ""},
		{http.MethodGet, "/livez?verbose", "ok\n"},
		{http.MethodGet, "/readyz", "ready\n"},
		{http.MethodHead, "/readyz", ""},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			r := d.of(t).send(request{method: c.method, target: c.target})
			if r.status != 200 || r.body != c.body {
				t.Errorf("%d %q: want 200 %q", r.status, r.body, c.body)
			}
		})
	}
}

func (d *door) ready() {
	d.t.Helper()
	if err := d.in.Check(context.Background()); err != nil {
		d.t.Errorf("not ready: %v", err)
	}
	if r := d.send(request{method: http.MethodGet, target: "/readyz"}); r.status != 200 {
		d.t.Errorf("/readyz: %d %s", r.status, r.body)
	}
}

// unready checks that the ingress says why it takes nothing, and that it lives.
func (d *door) unready(why string) {
	d.t.Helper()
	if err := d.in.Check(context.Background()); err == nil {
		d.t.Error("ready")
	}
	d.unavailable(d.send(request{method: http.MethodGet, target: "/readyz"}), why)
	if r := d.send(request{method: http.MethodHead, target: "/readyz"}); r.status != 503 || r.body != "" {
		d.t.Errorf("HEAD /readyz: %d %q", r.status, r.body)
	}
	if r := d.send(request{method: http.MethodGet, target: "/livez"}); r.status != 200 {
		d.t.Errorf("/livez: %d %s", r.status, r.body)
	}
}
