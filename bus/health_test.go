package bus

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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

// A server is not examined more often than healthyFor while all is well; what is
// not is looked at each time.
func TestHealthIsRememberedWhileItIsGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ill := errors.New("ill")
		answers := []error{nil, ill, ill, nil, nil}
		var h health
		asked := 0
		examine := func() error {
			asked++
			return answers[asked-1]
		}
		for _, step := range []struct {
			after time.Duration
			want  error
			asked int // by then
		}{
			{0, nil, 1},
			{time.Second, nil, 1},
			{healthyFor, ill, 2},
			{time.Second, ill, 3},
			{time.Second, nil, 4},
			{healthyFor - 1, nil, 4},
			{1, nil, 5},
		} {
			time.Sleep(step.after)
			if err := h.ask(examine); !errors.Is(err, step.want) || asked != step.asked {
				t.Fatalf("%s later: %v, asked %d times, want %v and %d", step.after, err, asked, step.want, step.asked)
			}
		}
	})
}
