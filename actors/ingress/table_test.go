package ingress

import (
	"fmt"
	"maps"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// A table does what a map does, also with hashes that meet.
func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := rapid.Uint64Range(1, 1<<rapid.IntRange(0, 63).Draw(t, "bits")).Draw(t, "hashes")
		hash := func(key string) uint64 { return piccolo.Hash(key) % hashes }
		var table table
		want := make(map[string]*entry)
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			key := fmt.Sprintf("%d", rapid.IntRange(0, 200).Draw(t, "key"))
			switch rapid.IntRange(0, 20).Draw(t, "step") {
			case 0:
				third := rapid.IntRange(0, 2).Draw(t, "third")
				keep := func(e *entry) bool { return len(e.key) != third+1 }
				before := len(want)
				maps.DeleteFunc(want, func(_ string, e *entry) bool { return !keep(e) })
				if n := table.keep(keep); n != before-len(want) {
					t.Fatalf("%d are forgotten, want %d", n, before-len(want))
				}
			default:
				e := newEntry([]byte(key))
				table.put(hash(key), e)
				want[key] = e
			}
			if table.len() != len(want) {
				t.Fatalf("%d entries, want %d", table.len(), len(want))
			}
			if got := table.find(hash(key), []byte(key)); got != want[key] {
				t.Fatalf("%s: %p, want %p", key, got, want[key])
			}
		}
		for n := range 200 {
			key := fmt.Sprint(n)
			if got := table.find(hash(key), []byte(key)); got != want[key] {
				t.Fatalf("%s: %p, want %p", key, got, want[key])
			}
		}
	})
}

// Keys that all have one hash, as anybody can make them, take no longer to find
// than what a map takes.
func TestTableOfOneHash(t *testing.T) {
	var table table
	const n = 50_000
	for i := range n {
		table.put(7, newEntry(fmt.Append(nil, i)))
	}
	if table.count > maxProbe || table.len() != n {
		t.Errorf("%d entries, %d of them in slots of one hash", table.len(), table.count)
	}
	for i := range n {
		if e := table.find(7, fmt.Append(nil, i)); e == nil || e.key != fmt.Sprint(i) {
			t.Fatalf("%d is %v", i, e)
		}
	}
}

// An entry with its key takes a line of cache.
func TestEntryOfAShortKeyIsOnePiece(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size != 64 {
		t.Errorf("an entry has %d bytes: what is inside should make it a line of cache", size)
	}
	key := []byte("key-00000001-abcd")
	if n := testing.AllocsPerRun(100, func() { newEntry(key) }); n != 1 {
		t.Errorf("%v allocations", n)
	}
	for _, key := range []string{"a", "123456789012345678901234", "1234567890123456789012345678901234567890"} {
		b := []byte(key)
		e := newEntry(b)
		b[0] = 'x'
		if e.key != key {
			t.Errorf("%q is %q", key, e.key)
		}
	}
}
