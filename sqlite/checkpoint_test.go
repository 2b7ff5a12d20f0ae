package sqlite_test

import (
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// The WAL is moved into the database and started again from the top, however
// much is written.
func TestWALIsBounded(t *testing.T) {
	store, db := openNew(t)
	const (
		limit   = sqlite.WALBytes
		size    = 8 << 20 // of a commit, which is mostly one rejected message
		slack   = size / 8
		commits = 24 // three times the limit
	)
	fold := &piccolo.Fold{Rejected: []piccolo.Rejected{{Reason: "no batch", Data: make([]byte, size)}}}
	var largest int64
	for i := range commits {
		fold.Rejected[0].StreamSeq = uint64(i)
		if _, err := store.Commit(t.Context(), fold); err != nil {
			t.Fatal(err)
		}
		largest = max(largest, store.WALBytes())
		store.AwaitCheckpoint() // or what is seen depends on how fast the disk is
	}
	// One commit takes it over the limit, one moves what is left, and the next
	// starts from the top.
	if bound := int64(limit + 2*(size+slack)); largest > bound {
		t.Errorf("the WAL grew to %d bytes, the bound is %d", largest, bound)
	}
	if largest < limit {
		t.Errorf("the WAL grew to %d bytes, too little to test its limit of %d", largest, limit)
	}
	db.want(t, "SELECT count(*) FROM rejected", "24")
}
