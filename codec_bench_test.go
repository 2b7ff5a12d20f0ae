package piccolo_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/internal/guard"
)

// thousand is a batch as one flush under load makes it.
func thousand() *piccolo.Batch {
	b := &piccolo.Batch{
		BatchID:    piccolo.BatchID{Producer: "0123456789abcdef", Seq: 17},
		Increments: 1000,
		Accepted:   time.Now(),
	}
	for i := range 1000 {
		b.Deltas = append(b.Deltas, piccolo.Delta{Key: fmt.Sprintf("key-%08d-xxxx", i), Value: int64(i - 500)})
	}
	return b
}

// The encode and decode stages, of a batch of 1,000 deltas.
func BenchmarkEncode(b *testing.B) {
	batch := thousand()
	var data []byte
	b.ReportAllocs()
	for b.Loop() {
		data = piccolo.AppendBatch(data[:0], batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/delta")
}

func BenchmarkDecode(b *testing.B) {
	data := piccolo.AppendBatch(nil, thousand())
	var batch piccolo.Batch
	b.ReportAllocs()
	for b.Loop() {
		if err := piccolo.DecodeBatch(data, &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/delta")
}

// No delta is worth an allocation, in either direction.
func TestCodecAllocatesNothingPerDelta(t *testing.T) {
	batch := thousand()
	data := piccolo.AppendBatch(nil, batch)
	if n := testing.AllocsPerRun(100, func() { data = piccolo.AppendBatch(data[:0], batch) }); n > 0 {
		t.Errorf("encoding 1,000 deltas allocates %.0f times", n)
	}
	into := *thousand()
	if n := testing.AllocsPerRun(100, func() { _ = piccolo.DecodeBatch(data, &into) }); n > 1 {
		t.Errorf("decoding 1,000 deltas allocates %.0f times, want once, for the producer", n)
	}
}

func TestGuardEncode(t *testing.T) {
	batch := thousand()
	var data []byte
	guard.Check(t, 3, func(n int) {
		for range n / 1000 {
			data = piccolo.AppendBatch(data[:0], batch)
		}
	})
}

func TestGuardDecode(t *testing.T) {
	data := piccolo.AppendBatch(nil, thousand())
	var batch piccolo.Batch
	guard.Check(t, 5, func(n int) {
		for range n / 1000 {
			_ = piccolo.DecodeBatch(data, &batch)
		}
	})
}
