package bus

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

// An answer that is an error says nothing of the damage: what is known of it
// stays, or the same would be found, and reported, again.
func TestDamageIsNotForgottenByAnError(t *testing.T) {
	t.Parallel()
	server, err := StartServer(ServerOptions{Dir: t.TempDir(), Listen: "off", MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	b, err := server.Connect("test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b.damaged.Store(17)
	if err := b.lookForDamage(ctx); err == nil { // there is no stream
		t.Error("no error")
	}
	if got := b.damaged.Load(); got != 17 {
		t.Errorf("%d bytes are damaged, where 17 were", got)
	}
	if _, err := b.Provision(ctx, StreamOptions{MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := b.lookForDamage(ctx); err != nil || b.damaged.Load() != 0 {
		t.Errorf("%d bytes of a new stream are damaged, %v", b.damaged.Load(), err)
	}
}
