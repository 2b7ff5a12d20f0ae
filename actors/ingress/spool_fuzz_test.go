package ingress

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// Whatever is in a file of the spool, what is read of it is a batch that put
// writes the same.
func FuzzSpoolReadsWhatWasPut(f *testing.F) {
	id := piccolo.BatchID{Producer: "p", Partition: 3, Seq: 7}
	batch := piccolo.AppendBatch(nil, &piccolo.Batch{BatchID: id, Increments: 2, Deltas: []piccolo.Delta{{Key: "foo", Value: -1}}})
	other := piccolo.AppendBatch(nil, &piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Partition: 3, Seq: 8}})
	f.Add(slices.Concat(batch, checksum(batch)), false)
	f.Add(batch, true)
	f.Add(batch, false)
	f.Add(batch[:len(batch)-1], true)
	f.Add(other, true)
	f.Add([]byte{}, true)
	f.Add([]byte("short"), false)
	f.Fuzz(func(t *testing.T, file []byte, sum bool) {
		if sum {
			file = slices.Concat(file, checksum(file))
		}
		s := spool{t.TempDir()}
		if err := os.WriteFile(s.path(id), file, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := s.read(id)
		if err != nil {
			return
		}
		again := spool{t.TempDir()}
		if err := again.put([]piccolo.Message{*m}); err != nil {
			t.Fatal(err)
		}
		if put, err := os.ReadFile(again.path(id)); err != nil || !bytes.Equal(put, file) {
			t.Errorf("%x was read, and %x is put for it, %v", file, put, err)
		}
	})
}
