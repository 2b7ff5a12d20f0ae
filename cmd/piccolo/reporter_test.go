package main

import (
	"log/slog"
	neturl "net/url"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/internal/port"
)

// grownStream is a stream of two partitions, with a process on it.
type grownStream struct {
	t      *testing.T
	dir    string
	server *bus.Server
	id     string     // of the process, in its reports
	ended  chan error // how the process's reporter did
}

var discard = slog.New(slog.DiscardHandler)

func newGrownStream(t *testing.T) *grownStream {
	g := &grownStream{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	g.serve(port.Free(t)) // where it may come back
	conn := g.connect()
	if _, err := conn.Provision(t.Context(), bus.StreamOptions{Partitions: 2, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	s := newService(setting{role: "ingress", log: discard, errors: new(lastError), conn: conn, dir: t.TempDir(), partitions: 2})
	g.id = s.id
	r := s.openReporter("", nil)
	go func() { g.ended <- r.Execute() }()
	t.Cleanup(func() { r.Interrupt(nil) })
	g.hear(2)
	return g
}

func (g *grownStream) serve(listen string) {
	g.t.Helper()
	server, err := bus.StartServer(bus.ServerOptions{Dir: g.dir, Listen: listen, MaxBytes: 1 << 24, Log: discard})
	if err != nil {
		g.t.Fatal(err)
	}
	g.server = server
	g.t.Cleanup(server.Shutdown)
}

func (g *grownStream) connect() *bus.Bus {
	g.t.Helper()
	conn, err := bus.Connect(bus.Remote{URL: g.server.URL()}, "test", discard)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(conn.Close)
	return conn
}

// hear returns when the process has said how many partitions it knows of.
func (g *grownStream) hear(want int) {
	g.t.Helper()
	heard := make(chan int, 16)
	stop, err := g.connect().Reports("", func(r piccolo.Report) {
		if r.ID == g.id { // others' may still be on their way
			heard <- r.Of
		}
	})
	if err != nil {
		g.t.Fatal(err)
	}
	defer stop()
	select {
	case got := <-heard:
		if got != want {
			g.t.Errorf("it says %d partitions, want %d", got, want)
		}
	case <-time.After(2 * time.Minute):
		g.t.Fatal("it reports nothing")
	}
}

func (g *grownStream) grow() {
	g.t.Helper()
	if _, err := g.connect().Grow(g.t.Context(), 4); err != nil {
		g.t.Fatal(err)
	}
}

// ends waits for the process to stop, and say why.
func (g *grownStream) ends() {
	g.t.Helper()
	select {
	case err := <-g.ended:
		if err == nil || !strings.Contains(err.Error(), "the stream has 4 partitions, and this process started when it had 2") {
			g.t.Errorf("it ended with %v", err)
		}
	case <-time.After(2 * time.Minute):
		g.t.Error("it goes on")
	}
}

// A process that the growth of the stream passed by stops when it hears of
// another that knows the new number of partitions.
func TestReporterHearsThatTheStreamGrew(t *testing.T) {
	t.Parallel()
	g := newGrownStream(t)
	other := g.connect()
	if err := other.Report(&piccolo.Report{ID: "mistaken", Of: 3}); err != nil {
		t.Fatal(err)
	}
	g.hear(2)
	g.hear(2)
	select {
	case err := <-g.ended:
		t.Fatalf("it ended with %v, though the stream is what it was", err)
	default:
	}
	g.grow()
	if err := other.Report(&piccolo.Report{ID: "newer", Of: 4}); err != nil {
		t.Fatal(err)
	}
	g.ends()
}

// It asks by itself when it was cut off from NATS meanwhile.
func TestReporterAsksWhenConnectedAgain(t *testing.T) {
	t.Parallel()
	g := newGrownStream(t)
	before, err := neturl.Parse(g.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	g.server.Shutdown()
	g.serve("127.0.0.1:0") // where the process does not find it
	g.grow()
	g.server.Shutdown()
	g.serve(before.Host)
	g.ends()
}
