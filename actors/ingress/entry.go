package ingress

import (
	"unsafe"

	"github.com/piccolo-counter/piccolo"
)

// entry is a key with its delta in an open batch, if it has one. The lock of
// its stripe guards it. With a key that is not long it is a line of cache, so that
// to find it, to add to it and to read it into a batch is to fetch one.
type entry struct {
	key    string
	delta  int64
	batch  *pending // nil: no delta
	total  bool     // somebody waits for the key's total after the commit
	used   bool     // since the last sweep
	left   bool     // no longer in the table: its key has another delta
	op     piccolo.Op
	inside [28]byte // what key points at, where it is not longer
}

// newEntry copies key, which may be reused by the caller.
func newEntry(key []byte) *entry {
	e := new(entry)
	if n := copy(e.inside[:], key); n == len(key) {
		e.key = unsafe.String(&e.inside[0], n)
	} else {
		e.key = string(key)
	}
	return e
}
