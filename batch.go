package piccolo

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// BatchID names a batch for ever: which process made it, for which partition,
// and its seq, contiguous from 1 per (producer, partition).
type BatchID struct {
	Producer  string
	Partition int
	Seq       uint64
}

// String is the id as it travels: <producer>.<partition>.<seq>. It is the
// stream's message id, the name of a file in the spool, and one part of a
// receipt.
func (id BatchID) String() string { return string(id.Append(nil)) }

// Append appends String to b.
func (id BatchID) Append(b []byte) []byte {
	b = append(b, id.Producer...)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(id.Partition), 10)
	b = append(b, '.')
	return strconv.AppendUint(b, id.Seq, 10)
}

// ParseBatchID reads what String wrote.
func ParseBatchID(s string) (BatchID, error) {
	fail := fmt.Errorf("%q is not a batch id of the form producer.partition.seq", s)
	parts := strings.Split(s, ".")
	if len(parts) != 3 || CheckProducer(parts[0]) != nil {
		return BatchID{}, fail
	}
	partition, err := strconv.ParseUint(parts[1], 10, 31)
	if err != nil || partition >= MaxPartitions {
		return BatchID{}, fail
	}
	seq, err := strconv.ParseUint(parts[2], 10, 63)
	if err != nil || seq == 0 {
		return BatchID{}, fail
	}
	return BatchID{Producer: parts[0], Partition: int(partition), Seq: seq}, nil
}

// NewProducer returns an id for one ingress process from its start to its
// exit. It is random, so that a process that forgot everything cannot reuse
// the seqs of its predecessor.
func NewProducer() string {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails on the systems this runs on
	}
	return hex.EncodeToString(b[:])
}

// CheckProducer says whether s can stand in a NATS subject and a file name: 1
// to 64 letters, digits, dashes or underscores.
func CheckProducer(s string) error {
	if len(s) == 0 || len(s) > 64 {
		return fmt.Errorf("producer %q: want 1 to 64 letters, digits, - or _", s)
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return fmt.Errorf("producer %q: want 1 to 64 letters, digits, - or _", s)
		}
	}
	return nil
}

// Batch is what one flush publishes to one partition.
//
// It has its seq from the moment it is opened, so that a reply can name it,
// and it never changes once it is sealed: the same bytes are published until
// they are acknowledged. A key may occur more than once, where the sum of its
// increments left int64.
type Batch struct {
	BatchID
	Increments uint64    // how many increments the deltas stand for
	Accepted   time.Time // when the oldest of them was accepted
	Onces      []Once    // stand before the deltas
	Deltas     []Delta
}

// Sum is the sum of the deltas that add, modulo 2^64, which is what the ledger
// keeps: it stays exact as a check however far the true sum leaves int64. What
// the onces come to, and the deltas that set, the fold decides.
func (b *Batch) Sum() int64 {
	var sum int64
	for i := range b.Deltas {
		if d := &b.Deltas[i]; d.Op == OpAdd {
			sum += d.Value
		}
	}
	return sum
}

// Keys counts the deltas, those of onces too.
func (b *Batch) Keys() int {
	n := len(b.Deltas)
	for i := range b.Onces {
		n += len(b.Onces[i].Deltas)
	}
	return n
}

// Message is a batch ready to travel: sealed, encoded, immutable.
type Message struct {
	ID         BatchID
	Keys       int
	Increments uint64
	Data       []byte
	Trace      SpanContext // of its flush, where that is Sampled
}
