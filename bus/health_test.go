package bus

import (
	"log/slog"
	"strings"
	"testing"
)

func TestCheckFailsWhenJetStreamHasStopped(t *testing.T) {
	t.Parallel()
	s, err := StartServer(ServerOptions{Dir: t.TempDir(), Listen: "off", MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	if err := s.Check(t.Context()); err != nil {
		t.Fatalf("when it has just started: %v", err)
	}
	s.log.Errorf("no space left on %s", "device") // as the server does before it gives up
	if err := s.ns.DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	err = s.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "JetStream has stopped") || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("%v: want that it has stopped, and why", err)
	}
}
