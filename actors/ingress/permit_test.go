package ingress

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// What every request goes through allocates nothing, with tokens and without.
func TestPermitDoesNotAllocate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("read other\nincrement,read s3cr3t\nadmin root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := LoadTokens(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.Set("Authorization", "Bearer s3cr3t")
	for name, in := range map[string]*Ingress{
		"with tokens":    {Config: Config{Tokens: tokens}},
		"without tokens": {},
	} {
		allocs := testing.AllocsPerRun(1000, func() {
			if !in.permit(&ctx, roleIncrement) {
				t.Fatal("refused")
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations per request", name, allocs)
		}
	}
}

func BenchmarkPermit(b *testing.B) {
	for _, n := range []int{0, 1, 10, 100} {
		b.Run(fmt.Sprintf("tokens=%d", n), func(b *testing.B) {
			in := &Ingress{}
			if n > 0 {
				var lines strings.Builder
				for i := range n {
					fmt.Fprintf(&lines, "increment %032d\n", i)
				}
				known, err := parseTokens([]byte(lines.String()))
				if err != nil {
					b.Fatal(err)
				}
				in.Tokens = &Tokens{}
				in.Tokens.known.Store(&known)
			}
			var ctx fasthttp.RequestCtx
			ctx.Request.Header.Set("Authorization", fmt.Sprintf("Bearer %032d", n/2))
			b.ReportAllocs()
			for b.Loop() {
				in.permit(&ctx, roleIncrement)
			}
		})
	}
}
