// Package piccolo holds the nouns of a counter service: increments that
// clients send, deltas that they are reduced to, batches that carry deltas
// from an ingress to a writer, and the ledger of what has been folded.
//
// It knows no HTTP, no NATS and no SQL. Everything here is arithmetic and
// bytes, so that the properties that make the service exact can be tested
// without a server in sight.
//
// A delta passes through one verb per stage of its life:
//
//	accepted → reduced → published → fetched → folded → committed → acked → trimmed
package piccolo

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// Increment is what one client sent for one key.
type Increment struct {
	Key   string
	Value int64
}

// Delta is the net change of one key in one batch.
//
// WantTotal asks the writer to report the key's total after the commit in its
// applied notice: somebody is waiting for it.
type Delta struct {
	Key       string
	Value     int64
	Op        Op
	WantTotal bool
}

// Op is what a delta does to its key's total.
type Op uint8

const (
	// OpAdd : the total grows by the value.
	OpAdd Op = iota
	// OpSet : the total becomes the value, whatever stood before the delta in
	// the stream.
	OpSet
	// OpRemove : the key is removed, and what stood before the delta with it.
	// The value is 0.
	OpRemove
)

// Ack says what a reply to an increment waits for, and what holds once the
// client has it.
type Ack uint8

const (
	// AckMemory : counted in the memory of one ingress. Lost if it crashes
	// within the flush interval.
	AckMemory Ack = iota
	// AckStored : in the stream, fsynced. Survives any crash.
	AckStored
	// AckApplied : committed to the database. Any reader sees it.
	AckApplied
)

var ackNames = [...]string{AckMemory: "memory", AckStored: "stored", AckApplied: "applied"}

func (a Ack) String() string { return ackNames[a] }

// ParseAck reads the name of an ack mode.
func ParseAck(s string) (Ack, error) {
	for a, name := range ackNames {
		if s == name {
			return Ack(a), nil
		}
	}
	return 0, fmt.Errorf("%q is none of memory, stored, applied", s)
}

// UnmarshalText makes an Ack readable from a flag.
func (a *Ack) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAck(string(b))
	return err
}

// MarshalText is the inverse of UnmarshalText.
func (a Ack) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

var (
	// ErrFull : the stream holds as much as it may. Nothing was stored.
	ErrFull = errors.New("the stream is full")
	// ErrBusy : as many distinct keys wait in memory as may. Nothing was
	// counted.
	ErrBusy = errors.New("the buffer is full")
	// ErrStopping : the process takes no new work. Nothing was counted.
	ErrStopping = errors.New("stopping")
)

// CheckKey says whether a key may be counted: not empty, at most limit bytes,
// valid UTF-8 and free of NUL (which SQLite's own tools cut a text at).
func CheckKey[T string | []byte](key T, limit int) error {
	switch {
	case len(key) == 0:
		return errors.New("is blank")
	case len(key) > limit:
		return fmt.Errorf("is %d bytes long, the limit is %d", len(key), limit)
	}
	for i := 0; i < len(key); i++ {
		if c := key[i]; c == 0 {
			return errors.New("contains a NUL byte")
		} else if c >= utf8.RuneSelf {
			if !utf8.ValidString(string(key[i:])) {
				return errors.New("is not valid UTF-8")
			}
			return checkNUL(key[i:])
		}
	}
	return nil
}

func checkNUL[T string | []byte](key T) error {
	for i := 0; i < len(key); i++ {
		if key[i] == 0 {
			return errors.New("contains a NUL byte")
		}
	}
	return nil
}

// Add returns a+b, and false where the sum lies outside int64. Every sum of
// counts goes through it: an overflow is a fact to handle, never a wrap.
func Add(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum > a) == (b > 0)
}

// Hash is the stable hash that places a key: XXH64 with seed 0 over the key's
// bytes. Partition takes its value modulo the number of partitions; nothing
// else may be derived from the same residue.
func Hash[T string | []byte](key T) uint64 {
	switch k := any(key).(type) {
	case string:
		return xxhash.Sum64String(k)
	case []byte:
		return xxhash.Sum64(k)
	}
	panic("unreachable")
}

// Partition places a key by its Hash among n partitions, numbered from 0.
func Partition(hash uint64, n int) int { return int(hash % uint64(n)) }

// MaxPartitions bounds the number of partitions of one stream.
const MaxPartitions = 1024

// MaxSeq is the largest seq that a ledger can keep: SQLite's largest integer.
const MaxSeq = math.MaxInt64
