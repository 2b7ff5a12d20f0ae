package piccolo_test

import (
	"slices"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Anyone with the right to publish can put anything into the stream. No bytes
// make a decoder panic, and what it takes for a batch is one: it can travel
// again and be the same.

func FuzzDecodeBatch(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("hello"))
	f.Add([]byte("\x0a\x01p\x18\x01\x32\x00"))             // a delta without a key
	f.Add([]byte("\x0a\x01p\x18\x01\x28\x00"))             // accepted at 0
	f.Add([]byte("\x0a\x01p\x18\x01\x7b\x08\x01\x7c\x32")) // a group, and a delta cut short
	for _, b := range seeds {
		f.Add(piccolo.AppendBatch(nil, &b))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var b piccolo.Batch
		if piccolo.DecodeBatch(data, &b) == nil {
			travelsAgain(t, b)
		}
	})
}

func FuzzDecodeBatchJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `null`, `[]`, `{"deltas":[{"key":"foo","value":10}]}`,
		`{"producer":"p","partition":3,"seq":7,"increments":2,"accepted":"2024-02-29T12:00:00.123456789Z","deltas":[{"key":"é","value":-9223372036854775808}]}`,
		`{"producer":"p","partition":-1,"seq":7}`, `{"partition":5}`, `{"accepted":"1960-01-01T00:00:00Z"}`,
		`{"onces":[{"idempotency_key":"order-4711","deltas":[{"key":"foo","value":10}]}],"deltas":[{"key":"foo","set":1},{"key":"bar","remove":true}]}`,
		`{"deltas":[{"key":"foo"}]}`, "{\"deltas\":[{\"key\":\"\xff\",\"value\":1}]}", `{} {}`,
	} {
		f.Add([]byte(s))
	}
	id := piccolo.BatchID{Producer: "by-hand", Partition: 3, Seq: 1}
	f.Fuzz(func(t *testing.T, data []byte) {
		var b piccolo.Batch
		if piccolo.DecodeBatchJSON(data, id, &b) == nil {
			travelsAgain(t, b)
		}
	})
}

func FuzzDecodeApplied(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("hello"))
	f.Add([]byte("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")) // partition 1<<63
	f.Add([]byte("\x10\x03\x12\x02\x01\x02"))                     // seqs packed and not
	f.Add(piccolo.AppendApplied(nil, &piccolo.Applied{}))
	f.Add(piccolo.AppendApplied(nil, &piccolo.Applied{Partition: 2, Seqs: []uint64{1, 1 << 40}, Totals: map[string]int64{"foo": -1}}))
	f.Add(piccolo.AppendApplied(nil, &piccolo.Applied{Seqs: []uint64{1}, Conflicts: []piccolo.Claim{{Token: piccolo.NewToken("order-4711"), Payload: 7}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := piccolo.DecodeApplied(data)
		if err != nil {
			return
		}
		again, err := piccolo.DecodeApplied(piccolo.AppendApplied(nil, &a))
		if err != nil {
			t.Fatal(err)
		}
		sameApplied(t, again, a)
	})
}

var seeds = []piccolo.Batch{
	{BatchID: piccolo.BatchID{Producer: "p", Seq: 1}},
	{
		BatchID:    piccolo.BatchID{Producer: "0123456789abcdef", Partition: 1023, Seq: piccolo.MaxSeq},
		Increments: 1<<64 - 1,
		Accepted:   time.UnixMicro(1<<63 - 1),
		Deltas:     []piccolo.Delta{{Key: "é", Value: -1 << 63, WantTotal: true}, {Key: "foo", Value: 1<<63 - 1}},
	},
	{
		BatchID:    piccolo.BatchID{Producer: "p", Seq: 2},
		Increments: 3,
		Onces: []piccolo.Once{{
			Claim: piccolo.Claim{Token: piccolo.NewToken("order-4711"), Payload: 1<<64 - 1}, Increments: 3,
			Deltas: []piccolo.Delta{{Key: "foo", Value: 2}, {Key: "bar", Value: -2, WantTotal: true}},
		}},
		Deltas: []piccolo.Delta{{Key: "foo", Value: -5, Op: piccolo.OpSet}, {Key: "bar", Op: piccolo.OpRemove}},
	},
}

func travelsAgain(t *testing.T, b piccolo.Batch) {
	t.Helper()
	b.Onces, b.Deltas = slices.Clone(b.Onces), slices.Clone(b.Deltas)
	var again piccolo.Batch
	if err := piccolo.DecodeBatch(piccolo.AppendBatch(nil, &b), &again); err != nil {
		t.Fatalf("%+v: %v", b, err)
	}
	sameBatch(t, again, b)
}
