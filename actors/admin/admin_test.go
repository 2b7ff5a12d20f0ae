package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
	"github.com/piccolo-counter/piccolo/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// page is the operator's page, served.
type page struct {
	t      testing.TB
	addr   string
	client *http.Client

	deployment *admin.Deployment
}

func serve(t testing.TB, m *admin.Metrics, checks ...admin.Check) *page {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := admin.NewDeployment()
	a := admin.New(l, admin.Config{
		Metrics: m, Checks: checks, Deployment: d, Log: slog.New(slog.DiscardHandler),
		Lookup: func(_ context.Context, prefix string, limit int) ([]piccolo.Number, error) {
			switch prefix {
			case "broken":
				return nil, errors.New("no writer serves partition 0")
			case "foo":
				return []piccolo.Number{{Key: "foo", Value: math.MaxInt64}, {Key: "foo<b>", Value: -1}}, nil
			case "part":
				return []piccolo.Number{{Key: "part", Value: 1}}, errors.New("without partition 3")
			}
			return nil, nil
		},
	})
	ended := make(chan error, 1)
	go func() { ended <- a.Execute() }()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		a.Interrupt(nil)
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	return &page{t, l.Addr().String(), client, d}
}

func (p *page) get(path string) (status int, body string) {
	p.t.Helper()
	res, err := p.client.Get("http://" + p.addr + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestReadyWhenEveryCheckPasses(t *testing.T) {
	t.Parallel()
	good := func(context.Context) error { return nil }
	bad := func(context.Context) error {
		return errors.Join(errors.New("JetStream has stopped"), errors.New("no space left"))
	}
	for _, c := range []struct {
		name    string
		checks  []admin.Check
		status  int
		terse   string
		verbose string
	}{
		{"no check", nil, 200, "ready\n", "ready\n"},
		{"all pass", []admin.Check{{Name: "ingress", Err: good}, {Name: "nats", Err: good}}, 200,
			"ready\n",
			"[+] ingress: ok\n[+] nats: ok\nready\n"},
		{"one fails", []admin.Check{{Name: "ingress", Err: good}, {Name: "nats", Err: bad}}, 503,
			"[+] ingress: ok\n[-] nats: JetStream has stopped: no space left\nnot ready\n",
			"[+] ingress: ok\n[-] nats: JetStream has stopped: no space left\nnot ready\n"},
		{"one warns", []admin.Check{{Name: "disk", Err: bad, Warns: true}, {Name: "nats", Err: good}}, 200,
			"ready\n",
			"[!] disk: JetStream has stopped: no space left\n[+] nats: ok\nready\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := serve(t, admin.NewMetrics("1.2.3"), c.checks...)
			if status, body := p.get("/readyz"); status != c.status || body != c.terse {
				t.Errorf("%d %q: want %d %q", status, body, c.status, c.terse)
			}
			if status, body := p.get("/readyz?verbose"); status != c.status || body != c.verbose {
				t.Errorf("verbose: %d %q: want %d %q", status, body, c.status, c.verbose)
			}
			if h := admin.ParseHealth(c.verbose); h.String() != c.verbose || len(h) != len(c.checks) {
				t.Errorf("%q is read as %+v", c.verbose, h)
			}
			if status, body := p.get("/livez"); status != 200 || body != "ok\n" {
				t.Errorf("livez: %d %q", status, body)
			}
		})
	}
}

// A check that hangs is one that fails, before whoever asks gives up.
func TestCheckIsBounded(t *testing.T) {
	t.Parallel()
	p := serve(t, admin.NewMetrics("1.2.3"), admin.Check{Name: "nats", Err: func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a check without a deadline")
		}
		return nil
	}})
	if status, body := p.get("/readyz"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

func TestPagesOfTheOperator(t *testing.T) {
	t.Parallel()
	p := serve(t, admin.NewMetrics("1.2.3"))
	for _, c := range []struct {
		path   string
		status int
		part   string
	}{
		{"/", 200, "<title>Piccolo</title>"},
		{"/page/..%2fadmin.go", 404, ""},
		{"/page/page.js", 200, "EventSource"},
		{"/find?prefix=foo", 200, `{"numbers":[{"key":"foo","value":"9223372036854775807"},{"key":"foo\u003cb\u003e","value":"-1"}],"missing":""}`},
		{"/find?prefix=bar", 200, `{"numbers":[],"missing":""}`},
		{"/find?prefix=broken", 503, "no writer serves"},
		{"/find?prefix=part", 200, `{"numbers":[{"key":"part","value":"1"}],"missing":"without partition 3"}`},
		{"/metrics", 200, `piccolo_build_info{version="1.2.3"} 1`},
		{"/debug/pprof/", 200, "goroutine"},
		{"/debug/pprof/cmdline", 200, os.Args[0]},
		{"/nothing", 404, ""},
	} {
		if status, body := p.get(c.path); status != c.status || !strings.Contains(body, c.part) {
			t.Errorf("%s: %d, want %d with %q in %q", c.path, status, c.status, c.part, body)
		}
	}
}

func TestListenerThatFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	a := admin.New(l, admin.Config{Metrics: admin.NewMetrics("1.2.3"), Deployment: admin.NewDeployment(), Log: slog.New(slog.DiscardHandler)})
	if err := a.Execute(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
	a.Interrupt(nil) // when it has ended, which is nothing
}
