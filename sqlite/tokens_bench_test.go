package sqlite_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// BenchmarkTokens folds increments of a few keys with an Idempotency-Key each
// into a database that knows many tokens, of which as many expire as come; and,
// by turns, as many increments of as many keys without one, which take a row
// each. It reports the time of a token, that of a row, and the ratio, which is
// what carries over between machines.
func BenchmarkTokens(b *testing.B) {
	const known = 1_000_000
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("%d_of_%d", n, known), func(b *testing.B) {
			store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "numbers.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			clock := noon
			fold := func(n int, expires time.Time) *piccolo.Fold {
				f := &piccolo.Fold{Deltas: deltas(100, 50), Expired: map[int]time.Time{0: clock}}
				for range n {
					var token piccolo.Token
					binary.BigEndian.PutUint64(token[:], rand.Uint64())
					binary.BigEndian.PutUint64(token[8:], rand.Uint64())
					f.Tokens = append(f.Tokens, piccolo.Spent{Claim: piccolo.Claim{Token: token}, Expires: expires})
				}
				slices.SortFunc(f.Tokens, func(a, b piccolo.Spent) int { return bytes.Compare(a.Token[:], b.Token[:]) })
				return f
			}
			for i := range known / 10_000 {
				if _, err := store.Commit(b.Context(), fold(10_000, noon.Add(time.Duration(i)*time.Second))); err != nil {
					b.Fatal(err)
				}
			}
			commit(b, store, deltas(known, known))
			var tokens, rows time.Duration
			for b.Loop() {
				clock = clock.Add(time.Duration(n) * time.Second / 10_000) // as many as come
				f := fold(n, clock.Add(known/10_000*time.Second))
				var asked []piccolo.Token
				for _, t := range f.Tokens {
					asked = append(asked, t.Token)
				}
				some := deltas(known, n)
				start := time.Now()
				if _, err := store.Spent(b.Context(), 0, asked); err != nil {
					b.Fatal(err)
				}
				if _, err := store.Commit(b.Context(), f); err != nil {
					b.Fatal(err)
				}
				middle := time.Now()
				commit(b, store, some)
				tokens += middle.Sub(start)
				rows += time.Since(middle)
			}
			b.ReportMetric(float64(tokens.Nanoseconds())/float64(b.N*n), "ns/token")
			b.ReportMetric(float64(rows.Nanoseconds())/float64(b.N*n), "ns/row")
			b.ReportMetric(float64(tokens)/float64(rows), "ratio")
		})
	}
}
