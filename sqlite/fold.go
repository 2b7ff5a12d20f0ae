package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/piccolo-counter/piccolo"
)

// Commit does all of fold in one transaction.
//
// After piccolo.ErrNoRoom and piccolo.ErrLocked the store is as it was, and
// may be asked again once the ledger has been read again. After any other
// error it is of no further use, and where that is piccolo.ErrUnknown, the
// commit may have happened.
func (s *Store) Commit(_ context.Context, fold *piccolo.Fold) (piccolo.Folded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return piccolo.Folded{}, errors.New("the database is closed")
	}
	tx := transaction{store: s, stmts: &s.stmts}
	err := s.conn.Raw(func(any) error { return tx.run(fold) })
	s.stmts.forget()
	if err != nil {
		clear(s.expiry) // it may have gone ahead
		return piccolo.Folded{}, err
	}
	// Invariant: what is acked is in the file that anyone finds at the path.
	if err := s.files.check(); err != nil {
		return piccolo.Folded{}, err
	}
	tx.keepQuarantined()
	s.wal.committed(s)
	return tx.folded, nil
}

// transaction is one commit on its way.
type transaction struct {
	store       *Store
	stmts       *statements
	folded      piccolo.Folded
	quarantined map[string]*big.Int // as it will be, of the keys of which it changed
}

func (tx *transaction) run(fold *piccolo.Fold) error {
	if err := tx.stmts.begin.exec(); err != nil {
		return explain(err)
	}
	if err := tx.apply(fold); err != nil {
		return errors.Join(explain(err), tx.stmts.rollback.exec())
	}
	if err := tx.stmts.commit.exec(); err != nil {
		// SQLite may have rolled back by itself, and then has nothing to do.
		_ = tx.stmts.rollback.exec()
		if err = explain(err); errors.Is(err, piccolo.ErrNoRoom) || errors.Is(err, piccolo.ErrLocked) {
			// What reached the WAL lies beyond its end as this process knows
			// it, where the next commit overwrites it: not committed.
			return err
		}
		return fmt.Errorf("%w: %w", piccolo.ErrUnknown, err)
	}
	return nil
}

func (tx *transaction) apply(fold *piccolo.Fold) error {
	epoch, _, err := tx.stmts.fence.integer()
	if err != nil {
		return err
	}
	if epoch != tx.store.epoch {
		return fmt.Errorf("%w: this one opened the database as number %d, by now number %d has", piccolo.ErrFenced, tx.store.epoch, epoch)
	}
	if err := tx.add(fold.Deltas); err != nil {
		return err
	}
	// Invariant: the ledger changes in the transaction of the numbers.
	for o, a := range fold.Accounts {
		err := tx.stmts.account.exec(o.Producer, int64(o.Partition), int64(a.Seqs.Watermark()), a.Seqs.Above(),
			int64(a.Batches), int64(a.Increments), a.Sum, int64(a.Skipped))
		if err != nil {
			return err
		}
	}
	for partition, p := range fold.Positions {
		if err := tx.stmts.position.exec(int64(partition), p.Created.UnixMicro(), int64(p.StreamSeq)); err != nil {
			return err
		}
	}
	for _, r := range fold.Rejected {
		if err := tx.stmts.reject.exec(int64(r.Partition), int64(r.StreamSeq), r.Stored.UnixMicro(), r.Reason, r.Data); err != nil {
			return err
		}
	}
	if err := tx.spend(fold); err != nil {
		return err
	}
	return tx.total(fold)
}

// add applies deltas to numbers, in statements of a whole chunk where it can:
// where all of them add, and none of their keys is in the quarantine.
func (tx *transaction) add(deltas []piccolo.Delta) error {
	tx.folded.Rows = len(deltas)
	for len(deltas) > 0 {
		n := min(chunk, len(deltas))
		for n < len(deltas) && deltas[n].Key == deltas[n-1].Key {
			n++ // those of one key are settled together
		}
		done, err := tx.addChunk(deltas[:n])
		if err == nil && !done {
			err = tx.addEach(deltas[:n])
		}
		if err != nil {
			return err
		}
		deltas = deltas[n:]
	}
	return nil
}

// addChunk applies the deltas in one statement, and says whether it did. If not,
// it applied none.
func (tx *transaction) addChunk(deltas []piccolo.Delta) (done bool, err error) {
	if len(deltas) != chunk || !tx.plain(deltas) {
		return false, nil
	}
	args := tx.stmts.upsertMany.args
	for i, d := range deltas {
		args[2*i].Value = d.Key
		args[2*i+1].Value = d.Value
	}
	err = tx.stmts.upsertMany.run()
	if isOverflow(err) {
		return false, nil
	}
	return err == nil, err
}

// addEach applies deltas key by key.
func (tx *transaction) addEach(deltas []piccolo.Delta) error {
	for len(deltas) > 0 {
		n := 1
		for n < len(deltas) && deltas[n].Key == deltas[0].Key {
			n++
		}
		if err := tx.addKey(deltas[:n]); err != nil {
			return err
		}
		deltas = deltas[n:]
	}
	return nil
}

// addKey applies the deltas of one key.
func (tx *transaction) addKey(deltas []piccolo.Delta) error {
	if len(deltas) == 1 && tx.plain(deltas) {
		err := tx.stmts.upsert.exec(deltas[0].Key, deltas[0].Value)
		if !isOverflow(err) {
			return err
		}
	}
	return tx.settle(deltas)
}

// plain says whether the deltas only add, to keys that have nothing in the
// quarantine.
func (tx *transaction) plain(deltas []piccolo.Delta) bool {
	none := len(tx.store.quarantined) == 0 && len(tx.quarantined) == 0
	for i := range deltas {
		d := &deltas[i]
		if d.Op != piccolo.OpAdd || !none && tx.held(d.Key).Sign() != 0 {
			return false
		}
	}
	return true
}

// total reads back what somebody waits for, still inside the transaction.
func (tx *transaction) total(fold *piccolo.Fold) error {
	for i := range fold.Deltas {
		if d := &fold.Deltas[i]; d.WantTotal {
			if err := tx.totalOf(d.Key); err != nil {
				return err
			}
		}
	}
	for _, key := range fold.Wanted {
		if err := tx.totalOf(key); err != nil {
			return err
		}
	}
	return nil
}

func (tx *transaction) totalOf(key string) error {
	value, _, err := tx.stmts.value.integer(key)
	if err != nil {
		return err
	}
	if tx.folded.Totals == nil {
		tx.folded.Totals = make(map[string]int64)
	}
	tx.folded.Totals[key] = value
	return nil
}
