package bus

import (
	"log/slog"
	"testing"
)

// An acknowledgement follows an fsync, unless somebody asked for less.
func TestServerSyncs(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		s, err := StartServer(ServerOptions{
			Dir: t.TempDir(), Listen: "off", Lazy: lazy, MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if c := s.ns.JetStreamConfig(); c.SyncAlways == lazy {
			t.Errorf("lazy %v: the server syncs always: %v", lazy, c.SyncAlways)
		}
		s.Shutdown()
	}
}
