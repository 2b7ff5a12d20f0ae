package bus_test

import (
	"log/slog"
	"net"
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
