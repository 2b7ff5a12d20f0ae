package piccolo

import (
	"fmt"
	"strings"
)

// Receipt names the batches that carry what one request sent, so that a read
// can wait for them: batch ids, joined by commas.
type Receipt []BatchID

// ParseReceipt reads what a reply said in Piccolo-Receipt.
func ParseReceipt(s string) (Receipt, error) {
	var r Receipt
	for part := range strings.SplitSeq(s, ",") {
		id, err := ParseBatchID(part)
		if err != nil {
			return nil, fmt.Errorf("receipt: %w", err)
		}
		r = append(r, id)
	}
	return r, nil
}

func (r Receipt) String() string {
	var b []byte
	for i, id := range r {
		if i > 0 {
			b = append(b, ',')
		}
		b = id.Append(b)
	}
	return string(b)
}

// In returns the part of r that concerns one partition: what a read of a key
// in it has to wait for.
func (r Receipt) In(partition int) Receipt {
	var in Receipt
	for _, id := range r {
		if id.Partition == partition {
			in = append(in, id)
		}
	}
	return in
}
