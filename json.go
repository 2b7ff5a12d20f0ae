package piccolo

import (
	stdbytes "bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// DecodeBatchJSON reads a batch written by hand, for
//
//	nats pub piccolo.deltas.0 -H Content-Type:application/json '{"deltas":[{"key":"foo","value":10}]}'
//
// Producer and seq may be missing together; then id names the batch instead,
// which the caller derives from where in the stream the message stands.
func DecodeBatchJSON(data []byte, id BatchID, b *Batch) error {
	type delta struct {
		Key   string `json:"key"`
		Value *int64 `json:"value"`
	}
	var wire struct {
		Producer   string     `json:"producer"`
		Partition  int        `json:"partition"`
		Seq        uint64     `json:"seq"`
		Increments uint64     `json:"increments"`
		Accepted   *time.Time `json:"accepted"`
		Deltas     []delta    `json:"deltas"`
	}
	wire.Partition = id.Partition
	if !utf8.Valid(data) {
		// The decoder would put U+FFFD where it is not, and make another key.
		return errors.New("batch: the JSON is not valid UTF-8")
	}
	dec := json.NewDecoder(stdbytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&wire); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("batch: something follows the JSON object")
	}
	*b = Batch{
		BatchID:    BatchID{Producer: wire.Producer, Partition: wire.Partition, Seq: wire.Seq},
		Increments: wire.Increments,
		Deltas:     b.Deltas[:0],
	}
	if wire.Producer == "" && wire.Seq == 0 {
		b.Producer, b.Seq = id.Producer, id.Seq
	}
	if wire.Accepted != nil {
		b.Accepted = accepted(wire.Accepted.UnixMicro())
	}
	for i, d := range wire.Deltas {
		if err := CheckKey(d.Key, maxWireKey); err != nil {
			return fmt.Errorf("batch: delta %d: key %w", i, err)
		}
		if d.Value == nil {
			return fmt.Errorf("batch: delta %d: value is missing", i)
		}
		b.Deltas = append(b.Deltas, Delta{Key: d.Key, Value: *d.Value})
	}
	if b.Increments == 0 {
		b.Increments = uint64(len(b.Deltas))
	}
	return b.check()
}
