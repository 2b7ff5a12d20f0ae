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
// A delta may say "set":10 or "remove":true in place of a value, and what must
// count once however often it is published goes into
//
//	{"onces":[{"idempotency_key":"order-4711","deltas":[{"key":"foo","value":10}]}]}
//
// Producer and seq may be missing together; then id names the batch instead,
// which the caller derives from where in the stream the message stands.
func DecodeBatchJSON(data []byte, id BatchID, b *Batch) error {
	var wire struct {
		Producer   string     `json:"producer"`
		Partition  int        `json:"partition"`
		Seq        uint64     `json:"seq"`
		Increments uint64     `json:"increments"`
		Accepted   *time.Time `json:"accepted"`
		Onces      []struct {
			Key    string      `json:"idempotency_key"`
			Deltas []jsonDelta `json:"deltas"`
		} `json:"onces"`
		Deltas []jsonDelta `json:"deltas"`
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
	if HasHalfPair(data) {
		return errors.New("batch: the JSON has half of a surrogate pair")
	}
	*b = Batch{
		BatchID:    BatchID{Producer: wire.Producer, Partition: wire.Partition, Seq: wire.Seq},
		Increments: wire.Increments,
		Onces:      b.Onces[:0],
		Deltas:     b.Deltas[:0],
	}
	if wire.Producer == "" && wire.Seq == 0 {
		b.Producer, b.Seq = id.Producer, id.Seq
	}
	if wire.Accepted != nil {
		b.Accepted = accepted(wire.Accepted.UnixMicro())
	}
	increments := uint64(0)
	for i, o := range wire.Onces {
		once := Once{Increments: uint64(len(o.Deltas))}
		if err := CheckIdempotencyKey(o.Key); err != nil {
			return fmt.Errorf("batch: once %d: idempotency_key %w", i, err)
		}
		var payload Payload
		for j, jd := range o.Deltas {
			d, err := jd.delta()
			switch {
			case err != nil:
				return fmt.Errorf("batch: once %d: delta %d: %w", i, j, err)
			case d.Op != OpAdd:
				return fmt.Errorf("batch: once %d: delta %d: %w", i, j, errOnceSets)
			}
			payload.Add(d.Key, d.Value)
			once.Deltas = append(once.Deltas, d)
		}
		once.Claim = Claim{Token: NewToken(o.Key), Payload: payload.Sum()}
		b.Onces = append(b.Onces, once)
		increments += once.Increments
	}
	for i, jd := range wire.Deltas {
		d, err := jd.delta()
		if err != nil {
			return fmt.Errorf("batch: delta %d: %w", i, err)
		}
		if d.Op == OpAdd {
			increments++
		}
		b.Deltas = append(b.Deltas, d)
	}
	if b.Increments == 0 {
		b.Increments = increments
	}
	return b.check()
}

// jsonDelta is a delta as written by hand. It says one of value, set, remove.
type jsonDelta struct {
	Key    string `json:"key"`
	Value  *int64 `json:"value"`
	Set    *int64 `json:"set"`
	Remove bool   `json:"remove"`
}

func (j *jsonDelta) delta() (Delta, error) {
	if err := CheckKey(j.Key, maxWireKey); err != nil {
		return Delta{}, fmt.Errorf("key %w", err)
	}
	switch {
	case j.Value != nil && j.Set == nil && !j.Remove:
		return Delta{Key: j.Key, Value: *j.Value}, nil
	case j.Value == nil && j.Set != nil && !j.Remove:
		return Delta{Key: j.Key, Value: *j.Set, Op: OpSet}, nil
	case j.Value == nil && j.Set == nil && j.Remove:
		return Delta{Key: j.Key, Op: OpRemove}, nil
	case j.Value == nil && j.Set == nil:
		return Delta{}, errors.New("value is missing")
	}
	return Delta{}, errors.New("it says more than one of value, set and remove")
}
