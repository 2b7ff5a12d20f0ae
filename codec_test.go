package piccolo_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

func TestDecodeBatchInvertsAppend(t *testing.T) {
	var got piccolo.Batch // one for all, as the writer's
	rapid.Check(t, func(t *rapid.T) {
		want := batches().Draw(t, "batch")
		prefix := rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "already in the buffer")
		data := piccolo.AppendBatch(prefix, &want)
		if err := piccolo.DecodeBatch(data[len(prefix):], &got); err != nil {
			t.Fatal(err)
		}
		sameBatch(t, got, want)
	})
}

func TestDecodeAppliedInvertsAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := notices().Draw(t, "notice")
		got, err := piccolo.DecodeApplied(piccolo.AppendApplied(nil, &want))
		if err != nil {
			t.Fatal(err)
		}
		sameApplied(t, got, want)
	})
}

// A flush closes a batch by these bounds before the stream would refuse it.
func TestSizesAreBounded(t *testing.T) {
	largest := piccolo.Batch{
		BatchID: piccolo.BatchID{
			Producer:  strings.Repeat("p", 64),
			Partition: piccolo.MaxPartitions - 1,
			Seq:       math.MaxUint64,
		},
		Increments: math.MaxUint64,
		Accepted:   time.UnixMicro(math.MaxInt64),
	}
	header := len(piccolo.AppendBatch(nil, &largest))
	if header > piccolo.MaxHeaderSize {
		t.Errorf("the largest header takes %d bytes, MaxHeaderSize is %d", header, piccolo.MaxHeaderSize)
	}
	for _, key := range []int{1, 127, 128, 512, 1<<14 - 1, 1 << 14, 1 << 20} {
		largest.Deltas = []piccolo.Delta{{Key: strings.Repeat("k", key), Value: math.MinInt64, Op: piccolo.OpSet, WantTotal: true}}
		size := len(piccolo.AppendBatch(nil, &largest)) - header
		if limit := piccolo.MaxDeltaSize(key); size > limit {
			t.Errorf("a delta with a key of %d bytes takes %d bytes, MaxDeltaSize is %d", key, size, limit)
		}
	}
	largest.Deltas = nil
	for _, n := range []int{0, 1, 1000, 100_000} {
		once := piccolo.Once{Claim: piccolo.Claim{Payload: math.MaxUint64}, Increments: math.MaxUint64}
		for range n {
			once.Deltas = append(once.Deltas, piccolo.Delta{Key: "k", Value: math.MinInt64, WantTotal: true})
		}
		largest.Onces = []piccolo.Once{once}
		size := len(piccolo.AppendBatch(nil, &largest)) - header
		if limit := piccolo.MaxOnceSize(once.Deltas); size > limit {
			t.Errorf("a once of %d deltas takes %d bytes, MaxOnceSize is %d", n, size, limit)
		}
	}
}

func TestSizesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := batches().Draw(t, "batch")
		limit := piccolo.MaxHeaderSize
		for _, d := range b.Deltas {
			limit += piccolo.MaxDeltaSize(len(d.Key))
		}
		for _, o := range b.Onces {
			limit += piccolo.MaxOnceSize(o.Deltas)
		}
		if size := len(piccolo.AppendBatch(nil, &b)); size > limit {
			t.Fatalf("the batch takes %d bytes, the bounds add up to %d", size, limit)
		}
	})
}

func TestDecodeBatchRefuses(t *testing.T) {
	valid := piccolo.Batch{
		BatchID: piccolo.BatchID{Producer: "p", Seq: 1},
		Deltas:  []piccolo.Delta{{Key: "k", Value: 1}},
	}
	with := func(change func(*piccolo.Batch)) []byte {
		b := valid
		change(&b)
		return piccolo.AppendBatch(nil, &b)
	}
	key := func(k string) []byte {
		return with(func(b *piccolo.Batch) { b.Deltas = []piccolo.Delta{{Key: "fine"}, {Key: k}} })
	}
	for _, tt := range []struct {
		name, want string
		data       []byte
	}{
		{"nothing", "producer", nil},
		{"text", "batch", []byte("hello")},
		{"no producer", "producer", with(func(b *piccolo.Batch) { b.Producer = "" })},
		{"a producer that is no token of a subject", "producer", with(func(b *piccolo.Batch) { b.Producer = "a.b" })},
		{"a producer too long", "producer", with(func(b *piccolo.Batch) { b.Producer = strings.Repeat("p", 65) })},
		{"no seq", "seq 0", with(func(b *piccolo.Batch) { b.Seq = 0 })},
		{"a seq beyond the ledger's", "seq 9223372036854775808", with(func(b *piccolo.Batch) { b.Seq = piccolo.MaxSeq + 1 })},
		{"a partition too high", "partition 1024", with(func(b *piccolo.Batch) { b.Partition = 1024 })},
		{"a blank key", "delta 1: key is blank", key("")},
		{"a key that is not UTF-8", "delta 1: key is not valid UTF-8", key("a\xff")},
		{"a key with NUL", "delta 1: key contains a NUL", key("a\x00")},
		{"a key too long", "delta 1: key is 1048577 bytes long", key(strings.Repeat("k", 1<<20+1))},
		{"what only a newer program can do", "delta 0: op 3", with(func(b *piccolo.Batch) { b.Deltas = []piccolo.Delta{{Key: "k", Op: 3}} })},
		{"a removal that adds", "delta 0", with(func(b *piccolo.Batch) { b.Deltas = []piccolo.Delta{{Key: "k", Op: piccolo.OpRemove, Value: 1}} })},
		{"a once that sets", "once 0: delta 1: a once only adds", with(func(b *piccolo.Batch) {
			b.Onces = []piccolo.Once{{Deltas: []piccolo.Delta{{Key: "k"}, {Key: "k", Op: piccolo.OpSet}}}}
		})},
		{"a once with a blank key", "once 0: delta 0: key is blank", with(func(b *piccolo.Batch) {
			b.Onces = []piccolo.Once{{Deltas: []piccolo.Delta{{}}}}
		})},
		{"a once without a token", "once 0: it has no token", append(piccolo.AppendBatch(nil, &valid), 7<<3|2, 0)},
		{"a token too short", "once 0: a token of 2 bytes", append(piccolo.AppendBatch(nil, &valid), 7<<3|2, 4, 1<<3|2, 2, 'a', 'b')},
	} {
		var b piccolo.Batch
		if err := piccolo.DecodeBatch(tt.data, &b); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one that says %q", tt.name, err, tt.want)
		}
	}
}

// Wherever a message is cut, no half of a delta is taken for a whole one.
func TestDecodeBatchCutShort(t *testing.T) {
	whole := piccolo.Batch{
		BatchID:    piccolo.BatchID{Producer: "p", Partition: 300, Seq: 1000},
		Increments: 1000,
		Accepted:   time.UnixMicro(1 << 50),
		Onces:      []piccolo.Once{{Claim: piccolo.Claim{Payload: 1}, Increments: 300, Deltas: []piccolo.Delta{{Key: "key", Value: 5}}}},
		Deltas:     []piccolo.Delta{{Key: "key", Value: 1 << 40, WantTotal: true}, {Key: "k", Value: -300, Op: piccolo.OpSet}},
	}
	data := piccolo.AppendBatch(nil, &whole)
	for n := range data {
		var b piccolo.Batch
		if err := piccolo.DecodeBatch(data[:n], &b); err != nil {
			continue
		}
		for i, d := range b.Deltas {
			if d != whole.Deltas[i] {
				t.Errorf("cut at %d of %d bytes: delta %d is %+v, want %+v or an error", n, len(data), i, d, whole.Deltas[i])
			}
		}
		for i, o := range b.Onces {
			if !sameOnce(o, whole.Onces[i]) {
				t.Errorf("cut at %d of %d bytes: once %d is %+v, want %+v or an error", n, len(data), i, o, whole.Onces[i])
			}
		}
	}
}

// What stands in a field twice counts once, the last, as in every protobuf
// decoder; deltas add up.
func TestLastScalarWins(t *testing.T) {
	first := piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Partition: 1, Seq: 1}, Increments: 1, Deltas: []piccolo.Delta{{Key: "k", Value: 1}}}
	last := piccolo.Batch{BatchID: piccolo.BatchID{Producer: "q", Partition: 2, Seq: 2}, Increments: 2, Deltas: []piccolo.Delta{{Key: "k", Value: 2}}}
	var got piccolo.Batch
	if err := piccolo.DecodeBatch(piccolo.AppendBatch(piccolo.AppendBatch(nil, &first), &last), &got); err != nil {
		t.Fatal(err)
	}
	want := last
	want.Deltas = []piccolo.Delta{{Key: "k", Value: 1}, {Key: "k", Value: 2}}
	sameBatch(t, got, want)
}

// Proto3 takes 0 for a field that is not there, and nothing was accepted
// before the clock began.
func TestAcceptedWhen(t *testing.T) {
	bare := piccolo.AppendBatch(nil, &piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Seq: 1}})
	for us, want := range map[int64]time.Time{
		math.MinInt64: {},
		-1:            {},
		0:             {},
		1:             time.UnixMicro(1),
		math.MaxInt64: time.UnixMicro(math.MaxInt64),
	} {
		data := protowire.AppendTag(bare, 5, protowire.VarintType)
		data = protowire.AppendVarint(data, uint64(us))
		var b piccolo.Batch
		if err := piccolo.DecodeBatch(data, &b); err != nil || !b.Accepted.Equal(want) {
			t.Errorf("accepted_unix_micro %d: got %v, error %v, want %v", us, b.Accepted, err, want)
		}
	}
}

// A repeated number may be packed or not; decoders read both.
func TestDecodeAppliedReadsSeqsOneByOne(t *testing.T) {
	var data []byte
	for _, seq := range []uint64{3, 1, 1 << 40} {
		data = protowire.AppendVarint(protowire.AppendTag(data, 2, protowire.VarintType), seq)
	}
	got, err := piccolo.DecodeApplied(data)
	if err != nil {
		t.Fatal(err)
	}
	sameApplied(t, got, piccolo.Applied{Seqs: []uint64{3, 1, 1 << 40}})
}

func TestDecodeAppliedRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		data []byte
	}{
		{"text", []byte("hello")},
		{"seqs cut short", []byte{2<<3 | 2, 2, 1, 0x80}},
		{"a total without a key", piccolo.AppendApplied(nil, &piccolo.Applied{Totals: map[string]int64{"": 1}})},
		{"a partition too high", piccolo.AppendApplied(nil, &piccolo.Applied{Partition: piccolo.MaxPartitions})},
		{"a conflict without a token", []byte{4<<3 | 2, 0}},
	} {
		if a, err := piccolo.DecodeApplied(tt.data); err == nil {
			t.Errorf("%s: got %+v and no error", tt.name, a)
		}
	}
}

func ExampleAppendBatch() {
	data := piccolo.AppendBatch(nil, &piccolo.Batch{
		BatchID:    piccolo.BatchID{Producer: "me", Seq: 1},
		Increments: 2,
		Deltas:     []piccolo.Delta{{Key: "foo", Value: -3}},
	})
	fmt.Printf("%x\n", data)
	// Output: 0a026d651801200232070a03666f6f1005
}
