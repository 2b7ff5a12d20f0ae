package bus_test

import (
	"fmt"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

// BenchmarkPublish stores batches of 1,000 deltas one after the other, as a
// flusher does, with and without the fsync.
func BenchmarkPublish(b *testing.B) {
	for _, lazy := range []bool{false, true} {
		b.Run(map[bool]string{false: "always", true: "interval"}[lazy], func(b *testing.B) {
			server, err := bus.StartServer(bus.ServerOptions{Dir: b.TempDir(), Listen: "off", Lazy: lazy, MaxBytes: 8 << 30, Log: quiet})
			if err != nil {
				b.Fatal(err)
			}
			defer server.Shutdown()
			conn, err := server.Connect("bench", quiet)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Provision(b.Context(), bus.StreamOptions{Partitions: 1, MaxBytes: 8 << 30}); err != nil {
				b.Fatal(err)
			}
			batch := piccolo.Batch{BatchID: piccolo.BatchID{Producer: piccolo.NewProducer()}}
			for i := range 1000 {
				batch.Deltas = append(batch.Deltas, piccolo.Delta{Key: fmt.Sprintf("key-%08d-xxxx", i), Value: 1})
			}
			b.ReportAllocs()
			for b.Loop() {
				batch.Seq++
				m := piccolo.Message{ID: batch.BatchID, Keys: 1000, Increments: 1000, Data: piccolo.AppendBatch(nil, &batch)}
				if err := conn.Publish(b.Context(), &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
