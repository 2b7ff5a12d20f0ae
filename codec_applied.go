package piccolo

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	fieldAppliedPartition = 1
	fieldAppliedSeqs      = 2
	fieldAppliedTotal     = 3
	fieldAppliedConflict  = 4
)

// AppendApplied appends the wire form of a to dst. The producer stands in the
// subject.
func AppendApplied(dst []byte, a *Applied) []byte {
	if a.Partition != 0 {
		dst = append(dst, fieldAppliedPartition<<3|varint)
		dst = protowire.AppendVarint(dst, uint64(a.Partition))
	}
	size := 0
	for _, seq := range a.Seqs {
		size += protowire.SizeVarint(seq)
	}
	dst = append(dst, fieldAppliedSeqs<<3|bytes)
	dst = protowire.AppendVarint(dst, uint64(size))
	for _, seq := range a.Seqs {
		dst = protowire.AppendVarint(dst, seq)
	}
	for key, total := range a.Totals {
		d := Delta{Key: key, Value: total}
		dst = append(dst, fieldAppliedTotal<<3|bytes)
		dst = protowire.AppendVarint(dst, uint64(d.size()))
		dst = d.append(dst)
	}
	for i := range a.Conflicts {
		dst = append(dst, fieldAppliedConflict<<3|bytes, claimSize)
		dst = a.Conflicts[i].append(dst)
	}
	return dst
}

// DecodeApplied is the inverse of AppendApplied. The keys of the totals alias
// data.
func DecodeApplied(data []byte) (a Applied, err error) {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return a, fmt.Errorf("applied: %w", protowire.ParseError(n))
		}
		data = data[n:]
		n = protowire.ConsumeFieldValue(num, typ, data)
		if n < 0 {
			return a, fmt.Errorf("applied: %w", protowire.ParseError(n))
		}
		value := data[:n]
		data = data[n:]
		switch {
		case num == fieldAppliedPartition && typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(value)
			if v >= MaxPartitions {
				return a, fmt.Errorf("applied: partition %d is not below %d", v, MaxPartitions)
			}
			a.Partition = int(v)
		case num == fieldAppliedSeqs && typ == protowire.VarintType:
			seq, _ := protowire.ConsumeVarint(value)
			a.Seqs = append(a.Seqs, seq)
		case num == fieldAppliedSeqs && typ == protowire.BytesType:
			packed, _ := protowire.ConsumeBytes(value)
			for len(packed) > 0 {
				seq, n := protowire.ConsumeVarint(packed)
				if n < 0 {
					return a, fmt.Errorf("applied: %w", protowire.ParseError(n))
				}
				packed = packed[n:]
				a.Seqs = append(a.Seqs, seq)
			}
		case num == fieldAppliedTotal && typ == protowire.BytesType:
			raw, _ := protowire.ConsumeBytes(value)
			d, err := decodeDelta(raw) // a Total is a Delta that wants nothing
			if err != nil {
				return a, fmt.Errorf("applied: %w", err)
			}
			if a.Totals == nil {
				a.Totals = make(map[string]int64)
			}
			a.Totals[d.Key] = d.Value
		case num == fieldAppliedConflict && typ == protowire.BytesType:
			raw, _ := protowire.ConsumeBytes(value)
			o, err := decodeOnce(raw) // a Claim is a Once of nothing
			if err != nil {
				return a, fmt.Errorf("applied: %w", err)
			}
			a.Conflicts = append(a.Conflicts, o.Claim)
		}
	}
	return a, nil
}
