package ingress

import (
	"math"
	"unsafe"

	"github.com/piccolo-counter/piccolo"
)

// bulk is what a request to count many increments brings: decoded and checked,
// and sorted by stripe, so that each lock is taken once. Nothing of it points
// into the request, or anywhere else that a garbage collector would follow.
type bulk struct {
	partitions int
	lots       [][]item // by partition and stripe
	touched    []int    // the lots that are not empty
	keys       []byte   // of all items
	count      int
	magnitude  uint64 // Σ |value|, or all ones
}

// item is one increment.
type item struct {
	hash       uint64
	value      int64
	start, end uint32 // of its key in keys
}

func newBulk(partitions int) *bulk {
	return &bulk{partitions: partitions, lots: make([][]item, partitions*stripes)}
}

// maxBulk bounds the bytes of the keys, so that an item can point at them.
const maxBulk = math.MaxUint32

// add takes an increment. key may be reused by the caller.
func (b *bulk) add(key []byte, value int64) {
	start, end := len(b.keys), len(b.keys)+len(key)
	hash := piccolo.Hash(key)
	lot := stripeOf(hash)
	if b.partitions > 1 {
		lot += piccolo.Partition(hash, b.partitions) * stripes
	}
	b.keys = append(b.keys, key...)
	if len(b.lots[lot]) == 0 {
		b.touched = append(b.touched, lot)
	}
	b.lots[lot] = append(b.lots[lot], item{hash, value, uint32(start), uint32(end)})
	b.count++
	b.magnitude = plus(b.magnitude, magnitude(value))
}

func (b *bulk) key(i *item) []byte { return b.keys[i.start:i.end] }

// size is about how many bytes of memory b takes.
func (b *bulk) size() int64 {
	return int64(cap(b.keys)) + 2*int64(b.count)*int64(unsafe.Sizeof(item{}))
}

func (b *bulk) reset() {
	for _, lot := range b.touched {
		b.lots[lot] = b.lots[lot][:0]
	}
	b.touched, b.keys, b.count, b.magnitude = b.touched[:0], b.keys[:0], 0, 0
}

// magnitude is |v|, which is more than int64 holds for the smallest one.
func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// plus adds, and stays at the largest there is.
func plus(a, b uint64) uint64 {
	if a+b < a {
		return math.MaxUint64
	}
	return a + b
}
