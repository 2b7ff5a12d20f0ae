package ingress

import (
	"strconv"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// BenchmarkCountOnce counts an increment with an Idempotency-Key, and one
// without, from the decoded pair to where it waits to be flushed.
func BenchmarkCountOnce(b *testing.B) {
	in := &Ingress{Config: Config{Partitions: 1}, keys: &budget{max: 1 << 40}}
	in.reducers = []*reducer{newReducer("p", 0, 8<<20, in.keys)}
	key := []byte("user:12345")
	b.Run("with", func(b *testing.B) {
		b.ReportAllocs()
		var sealed piccolo.Batch
		name := []byte("5c1d4a6e-8f90-4b2c-a5d1-")
		p := in.reducers[0].tail.Load()
		for i := range b.N {
			increments := []piccolo.Increment{{Key: string(key), Value: 1}}
			if _, err := in.CountOnce(strconv.AppendInt(name, int64(i), 10), increments, piccolo.AckStored); err != nil {
				b.Fatal(err)
			}
			if i%1000 == 999 {
				in.reducers[0].seal(p, &sealed)
				p = p.next.Load()
			}
		}
	})
	b.Run("without", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := in.Count(key, 1, piccolo.AckStored); err != nil {
				b.Fatal(err)
			}
		}
	})
}
