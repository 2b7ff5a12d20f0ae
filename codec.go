package piccolo

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// The codec of batch.proto is written out by hand, since it is the hot path on
// both sides of the stream. A test holds it against the .proto itself.
const (
	fieldProducer   = 1
	fieldPartition  = 2
	fieldSeq        = 3
	fieldIncrements = 4
	fieldAccepted   = 5
	fieldDelta      = 6
	fieldOnce       = 7

	fieldKey       = 1
	fieldValue     = 2
	fieldWantTotal = 3
	fieldOp        = 4
)

// Every field number is below 16, so that a tag is one byte.
const (
	varint  = byte(protowire.VarintType)
	bytes   = byte(protowire.BytesType)
	fixed64 = byte(protowire.Fixed64Type)
)

// MaxHeaderSize bounds what a batch takes on the wire besides its deltas and
// onces.
const MaxHeaderSize = 128

// MaxDeltaSize bounds what one delta takes on the wire, in bytes.
func MaxDeltaSize(key int) int { return key + 24 }

// AppendBatch appends the wire form of b to dst.
func AppendBatch(dst []byte, b *Batch) []byte {
	dst = append(dst, fieldProducer<<3|bytes)
	dst = protowire.AppendString(dst, b.Producer)
	if b.Partition != 0 {
		dst = append(dst, fieldPartition<<3|varint)
		dst = protowire.AppendVarint(dst, uint64(b.Partition))
	}
	dst = append(dst, fieldSeq<<3|varint)
	dst = protowire.AppendVarint(dst, b.Seq)
	dst = append(dst, fieldIncrements<<3|varint)
	dst = protowire.AppendVarint(dst, b.Increments)
	if us := b.Accepted.UnixMicro(); us > 0 {
		dst = append(dst, fieldAccepted<<3|varint)
		dst = protowire.AppendVarint(dst, uint64(us))
	}
	for i := range b.Onces {
		o := &b.Onces[i]
		dst = append(dst, fieldOnce<<3|bytes)
		dst = protowire.AppendVarint(dst, uint64(o.size()))
		dst = o.append(dst)
	}
	for i := range b.Deltas {
		d := &b.Deltas[i]
		dst = append(dst, fieldDelta<<3|bytes)
		dst = protowire.AppendVarint(dst, uint64(d.size()))
		dst = d.append(dst)
	}
	return dst
}

func (d *Delta) size() int {
	n := 1 + protowire.SizeBytes(len(d.Key)) + 1 + protowire.SizeVarint(protowire.EncodeZigZag(d.Value))
	if d.WantTotal {
		n += 2
	}
	if d.Op != OpAdd {
		n += 2
	}
	return n
}

func (d *Delta) append(dst []byte) []byte {
	dst = append(dst, fieldKey<<3|bytes)
	dst = protowire.AppendString(dst, d.Key)
	dst = append(dst, fieldValue<<3|varint)
	dst = protowire.AppendVarint(dst, protowire.EncodeZigZag(d.Value))
	if d.WantTotal {
		dst = append(dst, fieldWantTotal<<3|varint, 1)
	}
	if d.Op != OpAdd {
		dst = append(dst, fieldOp<<3|varint, byte(d.Op))
	}
	return dst
}

var errTruncated = errors.New("batch: cut short")

// DecodeBatch reads the wire form of a batch into b, reusing its slices, and
// checks it: producer, partition and seq are those of a batch, and every key
// is one that may be counted. Unknown fields are skipped.
//
// The keys alias data, which must not change while they are in use.
func DecodeBatch(data []byte, b *Batch) error {
	*b = Batch{Onces: b.Onces[:0], Deltas: b.Deltas[:0]}
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("batch: %w", protowire.ParseError(n))
		}
		data = data[n:]
		switch {
		case num == fieldDelta && typ == protowire.BytesType:
			raw, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return errTruncated
			}
			data = data[n:]
			d, err := decodeDelta(raw)
			if err != nil {
				return fmt.Errorf("batch: delta %d: %w", len(b.Deltas), err)
			}
			b.Deltas = append(b.Deltas, d)
		case num == fieldOnce && typ == protowire.BytesType:
			raw, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return errTruncated
			}
			data = data[n:]
			o, err := decodeOnce(raw)
			if err != nil {
				return fmt.Errorf("batch: once %d: %w", len(b.Onces), err)
			}
			b.Onces = append(b.Onces, o)
		case num == fieldProducer && typ == protowire.BytesType:
			raw, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return errTruncated
			}
			data = data[n:]
			b.Producer = string(raw)
		case num >= fieldPartition && num <= fieldAccepted && typ == protowire.VarintType:
			v, n := protowire.ConsumeVarint(data)
			if n < 0 {
				return errTruncated
			}
			data = data[n:]
			switch num {
			case fieldPartition:
				if v >= MaxPartitions {
					return fmt.Errorf("batch: partition %d is not below %d", v, MaxPartitions)
				}
				b.Partition = int(v)
			case fieldSeq:
				b.Seq = v
			case fieldIncrements:
				b.Increments = v
			case fieldAccepted:
				b.Accepted = accepted(int64(v))
			}
		default:
			n := protowire.ConsumeFieldValue(num, typ, data)
			if n < 0 {
				return errTruncated
			}
			data = data[n:]
		}
	}
	return b.check()
}

// accepted reads when a batch was accepted. 0 is how proto3 writes nothing, and
// a clock that says less knows no better.
func accepted(us int64) time.Time {
	if us <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}

func (b *Batch) check() error {
	if err := CheckProducer(b.Producer); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	if b.Partition < 0 || b.Partition >= MaxPartitions {
		return fmt.Errorf("batch: partition %d is not below %d", b.Partition, MaxPartitions)
	}
	if b.Seq == 0 || b.Seq > MaxSeq {
		return fmt.Errorf("batch: seq %d is not between 1 and %d", b.Seq, int64(MaxSeq))
	}
	return nil
}

// maxWireKey bounds a key on the wire. What clients may send is a setting of
// the ingress; this only keeps nonsense out of the database.
const maxWireKey = 1 << 20

func decodeDelta(data []byte) (d Delta, err error) {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return d, protowire.ParseError(n)
		}
		data = data[n:]
		switch {
		case num == fieldKey && typ == protowire.BytesType:
			raw, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return d, errTruncated
			}
			data = data[n:]
			d.Key = unsafe.String(unsafe.SliceData(raw), len(raw))
		case num >= fieldValue && num <= fieldOp && typ == protowire.VarintType:
			v, n := protowire.ConsumeVarint(data)
			if n < 0 {
				return d, errTruncated
			}
			data = data[n:]
			switch num {
			case fieldValue:
				d.Value = protowire.DecodeZigZag(v)
			case fieldWantTotal:
				d.WantTotal = v != 0
			case fieldOp:
				if v > uint64(OpRemove) {
					// A newer program's. To skip it would be to add instead.
					return d, fmt.Errorf("op %d is unknown", v)
				}
				d.Op = Op(v)
			}
		default:
			n := protowire.ConsumeFieldValue(num, typ, data)
			if n < 0 {
				return d, errTruncated
			}
			data = data[n:]
		}
	}
	if err := CheckKey(d.Key, maxWireKey); err != nil {
		return d, fmt.Errorf("key %w", err)
	}
	if d.Op == OpRemove && d.Value != 0 {
		return d, fmt.Errorf("it removes its key and has the value %d", d.Value)
	}
	return d, nil
}
