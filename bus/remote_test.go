package bus_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/bus"
)

// silent listens, and neither accepts nor says anything, as a server does that hangs.
func silent(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// A server that hangs is away, as is one that does not run: neither refuses anything.
func TestAway(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]string{"none": "127.0.0.1:1", "one that hangs": silent(t)} {
		conn, err := bus.Connect(bus.Remote{URL: "nats://" + addr}, "test", slog.New(slog.DiscardHandler))
		if err == nil {
			conn.Close()
		}
		if !bus.Away(err) {
			t.Errorf("%s is not away: %v", name, err)
		}
	}
	_, err := bus.Connect(bus.Remote{URL: "nats://127.0.0.1:1", Creds: "nowhere"}, "test", slog.New(slog.DiscardHandler))
	if err == nil || bus.Away(err) {
		t.Errorf("without the user's credentials: got error %v, want one that is not of a server that is away", err)
	}
}

// Nothing that is secret in an address is printed, whatever is wrong with it.
func TestRedacted(t *testing.T) {
	t.Parallel()
	for urls, want := range map[string]string{
		"nats://127.0.0.1:4222":                     "nats://127.0.0.1:4222",
		"nats://u:s3cret@127.0.0.1:1":               "nats://u:xxxxx@127.0.0.1:1",
		"nats://s3cret@127.0.0.1:1":                 "nats://xxxxx@127.0.0.1:1", // a token
		"u:s3cret@127.0.0.1:1":                      "u:xxxxx@127.0.0.1:1",
		"tls://u:s3cret@[::1]:1,nats://127.0.0.1:1": "tls://u:xxxxx@[::1]:1,nats://127.0.0.1:1",
		"nats://127.0.0.1:1,nats://u:s3cret@b":      "nats://127.0.0.1:1,nats://u:xxxxx@b",
		"nats://u:s3cret/@3%c@127.0.0.1:1":          "nats://u:xxxxx@127.0.0.1:1",
		"nats://u:s3cret@127.0.0.1:port":            "nats://u:xxxxx@127.0.0.1:port",
	} {
		if got := bus.Redacted(urls); got != want {
			t.Errorf("%s: %s, want %s", urls, got, want)
		}
	}
	for _, urls := range []string{"nats://u:s3cret@127.0.0.1:1", "nats://s3cret@127.0.0.1:1", "nats://u:s3cret/@3%c@127.0.0.1:1", "nats://u:s3cret@127.0.0.1:port", "nats://u:3s3cret@127.0.0.1:1,http://u:s3cret@b"} {
		_, err := bus.Connect(bus.Remote{URL: urls}, "test", slog.New(slog.DiscardHandler))
		if err == nil || strings.Contains(err.Error(), "s3c") {
			t.Errorf("%s: %v", urls, err)
		}
	}
}
