package writer

import (
	"fmt"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// BenchmarkMerge adds up ten batches of 1,000 deltas for 2,000 keys, in no order,
// and sorts them: what a writer does between decoding and folding.
func BenchmarkMerge(b *testing.B) {
	var batches [10][]piccolo.Delta
	for i := range batches {
		for j := range 1000 {
			batches[i] = append(batches[i], piccolo.Delta{Key: fmt.Sprintf("key-%08d-xxxx", (i*777+j*1237)%2000), Value: 1})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		m := merger{deltas: make([]piccolo.Delta, 0, 10_000), at: make(map[string]int, 10_000)}
		for _, deltas := range batches {
			m.add(deltas)
		}
		m.sorted()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*10_000), "ns/delta")
}
