package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Invariant: numbers, ledger and tokens change together or not at all, wherever
// in the transaction it fails, and what failed can be done again.
func TestCommitIsAtomic(t *testing.T) {
	for table, when := range map[string]string{
		"numbers":   "NEW.key = 'key 199'", // the last
		"ledger":    "true",
		"positions": "true",
		"rejected":  "true",
		"tokens":    "true",
	} {
		store, db := openNew(t)
		ledger := new(piccolo.Ledger)
		add(t, store, "before", 1)

		many := make([]piccolo.Delta, 200)
		for i := range many {
			many[i] = piccolo.Delta{Key: fmt.Sprintf("key %03d", i), Value: 1}
		}
		fold := foldOf(ledger, batchOf("p", 1, many...))
		fold.Positions = map[int]piccolo.Position{0: {Created: time.Unix(1, 0), StreamSeq: 1}}
		fold.Rejected = []piccolo.Rejected{{StreamSeq: 1, Reason: "no batch"}}
		fold.Tokens = spent(0, 2, noon)

		db.exec(t, "CREATE TRIGGER fail BEFORE INSERT ON "+table+" WHEN "+when+" BEGIN SELECT raise(ABORT, 'made to fail'); END")
		_, err := store.Commit(t.Context(), fold)
		if err == nil || errors.Is(err, piccolo.ErrUnknown) {
			t.Fatalf("%s: got error %v, want one that leaves no doubt", table, err)
		}
		db.want(t, "SELECT * FROM numbers", "before|1")
		db.want(t, "SELECT (SELECT count(*) FROM ledger) + (SELECT count(*) FROM positions) + (SELECT count(*) FROM rejected) + (SELECT count(*) FROM tokens)", "0")

		db.exec(t, "DROP TRIGGER fail")
		if _, err := store.Commit(t.Context(), fold); err != nil {
			t.Fatalf("%s: the same fold again: %v", table, err)
		}
		db.want(t, "SELECT count(*), sum(value) FROM numbers", "201|201")
		db.want(t, "SELECT batches, increments, sum FROM ledger", "1|200|200")
		db.want(t, "SELECT count(*) FROM tokens", "2")
	}
}

// At every moment, whoever reads sees numbers that the ledger accounts for,
// and more from time to time.
func TestReadersSeeWholeCommits(t *testing.T) {
	store, db := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const commits = 100
	failed := make(chan error, 1)
	read := make(chan struct{}) // every ten commits the writer waits until somebody reads
	go func() {
		ledger := new(piccolo.Ledger)
		for seq := range uint64(commits) {
			draft := ledger.Draft()
			b := batchOf("p", seq+1, piccolo.Delta{Key: "a", Value: 3}, piccolo.Delta{Key: "b", Value: -1}, piccolo.Delta{Key: "c" + strconv.Itoa(int(seq)), Value: 1})
			draft.Fold(b)
			if _, err := store.Commit(ctx, &piccolo.Fold{Deltas: b.Deltas, Accounts: draft.Accounts()}); err != nil {
				failed <- err
				return
			}
			draft.Commit()
			if seq%10 == 9 {
				read <- struct{}{}
			}
		}
		failed <- nil
	}()
	seen := make(map[string]bool)
	for done := false; !done; {
		select {
		case err := <-failed:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		case <-read:
		default:
		}
		row := db.text(t, "SELECT (SELECT coalesce(sum(value), 0) FROM numbers), (SELECT coalesce(sum(sum), 0) FROM ledger)")
		seen[row] = true
	}
	for row := range seen {
		if n := len(row) / 2; row[:n] != row[n+1:] {
			t.Errorf("numbers and ledger differ: %s", row)
		}
	}
	if len(seen) < commits/10/2 {
		t.Errorf("a reader saw %d states of %d", len(seen), commits)
	}
	wantValue(t, store, "a", 3*commits)
}
