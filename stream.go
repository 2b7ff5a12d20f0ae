package piccolo

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Delivery is a message that the stream handed to a writer.
type Delivery struct {
	Partition int
	StreamSeq uint64
	Created   time.Time // when the stream was created, which tells it from a namesake
	Stored    time.Time // when the message was
	Pending   uint64    // how many messages the stream holds behind it, for this partition
	JSON      bool      // the content type says so; protobuf otherwise
	Data      []byte
	Trace     SpanContext // of its flush, where that is Sampled
	Acker     interface{ Ack() error }
}

// ID names a batch that came without a name of its own, by when it was stored
// and where. Its number alone would not do: after a roll back it is given out
// again.
func (d *Delivery) ID() BatchID {
	stored := strings.Replace(d.Stored.UTC().Format("20060102T150405.000000000"), ".", "-", 1)
	producer := "nats-" + stored + "-" + strconv.FormatUint(d.StreamSeq, 10)
	return BatchID{Producer: producer, Partition: d.Partition, Seq: 1}
}

// Decode reads the batch that the message carries. Its deltas alias Data.
func (d *Delivery) Decode(b *Batch) error {
	decode := DecodeBatch
	if d.JSON {
		decode = func(data []byte, b *Batch) error { return DecodeBatchJSON(data, d.ID(), b) }
	}
	if err := decode(d.Data, b); err != nil {
		return err
	}
	if b.Partition != d.Partition {
		return fmt.Errorf("batch: it says partition %d and came on the subject of partition %d", b.Partition, d.Partition)
	}
	if b.Accepted.IsZero() {
		b.Accepted = d.Stored
	}
	return nil
}

// StreamState is the stream as one partition's writer sees it.
type StreamState struct {
	Created    time.Time
	FirstSeq   uint64 // of all partitions
	LastSeq    uint64 // of all partitions; never falls while the stream lives
	Messages   uint64 // of all partitions
	Bytes      uint64 // of all partitions
	MaxBytes   int64  // that it may hold; -1 for as much as the server takes
	Damaged    uint64 // bytes, of all partitions, that the server could not read since it started, and cut off
	AckFloor   uint64 // every StreamSeq of this partition up to it has been acked
	Pending    uint64 // of this partition, not delivered yet
	AckPending int    // of this partition, delivered and not acked
}

// Applied is the notice, sent after a commit, of what has been folded of one
// producer's batches.
type Applied struct {
	Producer  string
	Partition int
	Seqs      []uint64
	Totals    map[string]int64 // of the keys whose delta wanted it, after the commit
	Conflicts []Claim          // of the onces that counted nothing because their token stands for another payload
}
