package bus_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/internal/port"
)

func TestServerOnABusyPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	_, err = bus.StartServer(bus.ServerOptions{Dir: t.TempDir(), Listen: addr, MaxBytes: 1 << 20, Log: quiet})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{addr, "address already in use", "--nats-listen"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestServerAddressThatIsNone(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"", "nonsense", "127.0.0.1", "127.0.0.1:nats", "127.0.0.1:99999", "[::1:4222"} {
		_, err := bus.StartServer(bus.ServerOptions{Dir: t.TempDir(), Listen: addr, MaxBytes: 1 << 20, Log: quiet})
		if err == nil || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "listen") {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

func TestServerWithoutASocket(t *testing.T) {
	t.Parallel()
	server, err := bus.StartServer(bus.ServerOptions{Dir: t.TempDir(), Listen: "off", MaxBytes: 1 << 20, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	if server.URL() != "" {
		t.Errorf("URL %q", server.URL())
	}
	b, err := server.Connect("test", quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Provision(soon(t), options); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(soon(t), message(0, 1, "foo", 1)); err != nil {
		t.Fatal(err)
	}
	if err := server.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

// The reason stands in the error, and not in a log that nobody reads.
func TestServerWhoseStoreCannotBe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := bus.StartServer(bus.ServerOptions{Dir: file, Listen: "off", MaxBytes: 1 << 20, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("%v", err)
	}
}

func TestServerFindsWhatItStored(t *testing.T) {
	t.Parallel()
	o := bus.ServerOptions{Dir: t.TempDir(), Listen: "off", MaxBytes: 1 << 20, Log: quiet}
	for start := range uint64(3) {
		server, err := bus.StartServer(o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := server.Connect("test", quiet)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Provision(soon(t), options); err != nil {
			t.Fatal(err)
		}
		if err := b.Publish(soon(t), message(0, start+1, "foo", 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Subscribe(soon(t), 0, drop, nil); err != nil { // which makes the consumer
			t.Fatal(err)
		}
		s, err := b.State(soon(t), 0)
		if err != nil || s.Messages != start+1 {
			t.Errorf("start %d: %d messages, %v", start+1, s.Messages, err)
		}
		b.Close()
		server.Shutdown()
		server.Shutdown() // again, which is nothing
	}
}

func TestConnectionThatIsLostIsFoundAgain(t *testing.T) {
	t.Parallel()
	o := bus.ServerOptions{Dir: t.TempDir(), Listen: port.Free(t), MaxBytes: 1 << 20, Log: quiet}
	server, err := bus.StartServer(o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.Connect(bus.Remote{URL: server.URL()}, "test", quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	server.Shutdown()
	until(t, "the loss shows", func() bool { return b.Check(t.Context()) != nil })
	if server, err = bus.StartServer(o); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	until(t, "the connection stands again", func() bool { return b.Check(t.Context()) == nil })
	if _, err := b.Provision(soon(t), options); err != nil {
		t.Error(err)
	}
}

func TestConnectSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	url := "nats://" + port.Free(t)
	missing := filepath.Join(t.TempDir(), "missing")
	for _, c := range []struct {
		name   string
		remote bus.Remote
		want   string
	}{
		{"nobody there", bus.Remote{URL: url}, "connect to NATS at " + url + ": nats: no servers available"},
		{"no credentials", bus.Remote{URL: url, Creds: missing}, missing},
		{"no certificate of the authority", bus.Remote{URL: url, CA: missing}, missing},
		{"no certificate of its own", bus.Remote{URL: url, Cert: missing, Key: missing}, missing},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := bus.Connect(c.remote, "test", quiet); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: want %q", err, c.want)
			}
		})
	}
}

// A batch of several 100,000 deltas is one message.
func TestServerTakesMessagesOf8MiB(t *testing.T) {
	t.Parallel()
	r := startServer(t)
	if got := r.nc.MaxPayload(); got != 8<<20 {
		t.Errorf("max payload %d, want 8 MiB", got)
	}
	if err := r.nc.Publish("x", make([]byte, 8<<20+1)); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("one byte more: %v", err)
	}
}
