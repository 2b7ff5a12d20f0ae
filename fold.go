package piccolo

import (
	"errors"
	"time"
)

// Fold is what a writer asks the database to do in one transaction. Either all
// of it holds afterwards, or none.
type Fold struct {
	Deltas    []Delta             // sorted by key, those of one key in their order
	Accounts  map[Origin]*Account // the ledger's accounts, as they are to be
	Positions map[int]Position    // by partition, where it moved
	Rejected  []Rejected
	Wanted    []string          // keys whose totals are asked for, besides those of deltas that want it
	Tokens    []Spent           // counted in this fold, sorted
	Expired   map[int]time.Time // by partition: tokens that expired by then are of no more use
}

// Spent is a token that has been counted in a partition, and until when the
// stream may bring it again without its being counted. That is by the stream's
// clock, so that whoever folds the stream again comes to the same.
type Spent struct {
	Claim
	Partition int
	Expires   time.Time
}

// Position is where a writer stands in the stream: which stream, told apart
// from a namesake by when it was created, and the highest StreamSeq that has
// been folded. It proves nothing about lower ones; the ledger does. It serves
// to notice a stream that was rolled back or made anew.
type Position struct {
	Created   time.Time
	StreamSeq uint64
}

// Rejected is a message in the stream that is no batch, or a batch with keys that
// are another database's. It is kept for a human, once however often it comes, and
// never blocks the ones behind it.
type Rejected struct {
	Partition int
	StreamSeq uint64
	Stored    time.Time // when the stream took it: after a roll back its number is given out again
	Reason    string
	Data      []byte
}

// Folded tells what a commit did.
type Folded struct {
	Rows        int              // deltas that were applied
	Quarantined Moved            // what could not be added to its key's value
	Released    Moved            // what could be, at last, or was overwritten
	Totals      map[string]int64 // of the keys whose delta wanted it, and of those wanted besides
}

// Moved counts deltas that went into the quarantine, or left it.
type Moved struct {
	Deltas int
	Keys   int      // whose they are
	Some   []string // the first few of the keys, for a log that a client must not be able to fill
}

// someKeys is how many keys Moved names.
const someKeys = 10

// Add counts deltas of one key.
func (m *Moved) Add(key string, deltas int) {
	m.Deltas += deltas
	m.Keys++
	if len(m.Some) < someKeys {
		m.Some = append(m.Some, key)
	}
}

var (
	// ErrUnknown : a commit failed, and may have happened all the same. Only
	// the database can tell, when it is opened again.
	ErrUnknown = errors.New("the outcome of the commit is unknown")
	// ErrNoRoom : the disk under the database is full. Nothing was committed.
	ErrNoRoom = errors.New("no room on the disk")
	// ErrLocked : another process holds the database's write lock. Nothing
	// was committed.
	ErrLocked = errors.New("the database is locked by another process")
	// ErrReplaced : the database's file is not the one that was opened. What
	// was committed last may be in neither.
	ErrReplaced = errors.New("the database was taken away")
	// ErrOwned : the partition belongs to another database.
	ErrOwned = errors.New("not this database's partition")
	// ErrFenced : another writer has taken the database over, or a partition.
	ErrFenced = errors.New("another writer has taken over")
)
