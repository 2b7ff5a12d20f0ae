package ingress

import (
	"math/bits"
	"math/rand/v2"
)

// table finds entries by their keys. It is open addressing over the hash that
// placed the key anyway, so that a known key is found without hashing it again,
// with two lines of cache: the slot's and the entry's.
//
// Everybody can make keys of one hash. So no search goes further than maxProbe
// slots: the few entries that do not fit there, by chance or by an attack, are in
// a map, whose hash nobody knows.
type table struct {
	slots []slot // a power of two of them, or none
	shift uint8  // 64 less the binary logarithm of that
	count int    // entries in slots
	rest  map[string]slot
}

// slot is empty where entry is nil.
type slot struct {
	hash  uint64
	entry *entry
}

const maxProbe = 32

// scatter makes a place in a table of a hash, whose bits partly chose the
// partition and the stripe. It is another one in every process.
var scatter = rand.Uint64() | 1

func (t *table) place(hash uint64) uint64 { return hash * scatter >> t.shift }

// find returns the entry of key, or nil.
func (t *table) find(hash uint64, key []byte) *entry {
	if len(t.slots) == 0 {
		return nil
	}
	i, last := t.place(hash), uint64(len(t.slots)-1)
	for range maxProbe {
		s := &t.slots[i&last]
		if s.entry == nil {
			return nil
		}
		if s.hash == hash && s.entry.key == string(key) {
			return s.entry
		}
		i++
	}
	return t.rest[string(key)].entry
}

// guess returns what find will most likely return, or nil. It does not wait for
// the entry to be fetched into the cache.
func (t *table) guess(hash uint64) *entry {
	if len(t.slots) == 0 {
		return nil
	}
	i, last := t.place(hash), uint64(len(t.slots)-1)
	for range 4 {
		if s := &t.slots[i&last]; s.hash == hash {
			return s.entry
		}
		i++
	}
	return nil
}

// put adds an entry, or puts it where the one with its key is.
func (t *table) put(hash uint64, e *entry) {
	if 4*(t.count+1) > 3*len(t.slots) {
		t.resize(t.count + 1)
	}
	i, last := t.place(hash), uint64(len(t.slots)-1)
	for range maxProbe {
		s := &t.slots[i&last]
		if s.entry == nil {
			*s = slot{hash, e}
			t.count++
			return
		}
		if s.hash == hash && s.entry.key == e.key {
			s.entry = e
			return
		}
		i++
	}
	if t.rest == nil {
		t.rest = make(map[string]slot)
	}
	t.rest[e.key] = slot{hash, e}
}

// resize makes room for n entries, and as many again before it has to be done
// again.
func (t *table) resize(n int) {
	old, rest := t.slots, t.rest
	size := bits.Len(uint(max(2*n, 16) - 1))
	t.slots, t.shift, t.count = make([]slot, 1<<size), uint8(64-size), 0
	t.rest = nil // what found no place may find one now
	for i := range old {
		if e := old[i].entry; e != nil {
			t.put(old[i].hash, e)
		}
	}
	for _, s := range rest {
		t.put(s.hash, s.entry)
	}
}

func (t *table) len() int { return t.count + len(t.rest) }

// keep forgets the entries of which kept says false, and returns how many. It
// asks once for each.
func (t *table) keep(kept func(*entry) bool) (forgotten int) {
	before := t.len()
	remain := 0
	for i := range t.slots {
		if s := &t.slots[i]; s.entry != nil {
			if kept(s.entry) {
				remain++
			} else {
				*s = slot{}
			}
		}
	}
	for key, s := range t.rest {
		if !kept(s.entry) {
			delete(t.rest, key)
		}
	}
	if remain < t.count { // or a search would end at a slot that is empty now
		t.resize(remain)
	}
	return before - t.len()
}
