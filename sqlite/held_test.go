package sqlite_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"
	"weak"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// message is deltas whose keys are parts of one message, as the codec's are.
func message(values map[string]int64, keys ...string) ([]piccolo.Delta, weak.Pointer[byte]) {
	data := []byte(strings.Join(keys, ""))
	deltas := make([]piccolo.Delta, len(keys))
	at := 0
	for i, key := range keys {
		deltas[i] = piccolo.Delta{Key: unsafe.String(&data[at], len(key)), Value: values[key]}
		at += len(key)
	}
	return deltas, weak.Make(&data[0])
}

// A key is part of its message, of as many as 8 MiB, which no longer has to be there
// once it is committed: neither for a key that is in the quarantine from then on, or
// was before, nor for the arguments of a statement.
func TestNothingOfAMessageIsKept(t *testing.T) {
	store, db := openNew(t)
	beyond := strings.Repeat("b", 100)
	many := make([]string, sqlite.Chunk+1) // a whole chunk, and one alone
	for i := range many {
		many[i] = fmt.Sprintf("k%099d", i)
	}
	var messages []weak.Pointer[byte]
	for _, keys := range [][]string{many, {beyond}, {beyond}, {beyond}, many} {
		deltas, data := message(map[string]int64{beyond: most}, keys...)
		fold(t, store, deltas...)
		messages = append(messages, data)
		runtime.GC()
		for i, m := range messages {
			if m.Value() != nil {
				t.Errorf("after %d commits the message of number %d is still there", len(messages), i+1)
			}
		}
	}
	if n := store.Quarantined(); n != 1 {
		t.Errorf("%d keys are in the quarantine, want 1", n)
	}
	db.want(t, "SELECT count(*) FROM quarantine", "2")
}
