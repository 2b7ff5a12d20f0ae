package ingress

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// lines is NDJSON of n increments of random keys.
func lines(random *rand.Rand, n, keys int) []byte {
	var b bytes.Buffer
	for range n {
		fmt.Fprintf(&b, "{\"key\":\"key-%08d-abcd\",\"value\":%d}\n", random.IntN(keys), random.IntN(201)-100)
	}
	return b.Bytes()
}

// BenchmarkMany decodes bodies of 10,000 increments, and counts and seals them:
// the ns/increment are what it takes but for HTTP, the stream and the writer.
func BenchmarkMany(b *testing.B) {
	const perBody, bodies = 10_000, 100
	for _, keys := range []int{10_000, 1_000_000} {
		random := rand.New(rand.NewPCG(1, 2))
		in := still(b, 1, 4*keys, 8<<20)
		in.MaxKeyBytes = 64
		all := make([][]byte, bodies)
		for i := range all {
			all[i] = lines(random, perBody, keys)
		}
		decode := func(i int) *intake {
			t := in.openIntake()
			if p := t.read(bytes.NewReader(all[i%bodies]), []byte("application/x-ndjson")); p != nil {
				b.Fatal(p)
			}
			return t
		}
		b.Run(fmt.Sprintf("decode/keys=%d", keys), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				decode(i).close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/perBody, "ns/increment")
		})
		for i := range all { // every key is known
			t := decode(i)
			if _, err := in.countAll(t.bulk, piccolo.AckStored); err != nil {
				b.Fatal(err)
			}
			t.close()
		}
		b.Run(fmt.Sprintf("count/keys=%d", keys), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t := decode(i)
				if _, err := in.countAll(t.bulk, piccolo.AckStored); err != nil {
					b.Fatal(err)
				}
				t.close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/perBody, "ns/increment")
		})
		for head := in.reducers[0].tail.Load(); !head.empty(); head = head.next.Load() {
			in.reducers[0].seal(head, new(piccolo.Batch))
		}
		b.Run(fmt.Sprintf("flush-every-4/keys=%d", keys), func(b *testing.B) {
			b.ReportAllocs()
			var batch piccolo.Batch
			var data []byte
			head := in.reducers[0].tail.Load()
			for i := 0; b.Loop(); i++ {
				t := decode(i)
				if _, err := in.countAll(t.bulk, piccolo.AckStored); err != nil {
					b.Fatal(err)
				}
				t.close()
				if i%4 == 3 {
					for !head.empty() {
						in.reducers[0].seal(head, &batch)
						data = piccolo.AppendBatch(data[:0], &batch)
						head = head.next.Load()
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/perBody, "ns/increment")
		})
	}
}
