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
func (s *Store) Commit(ctx context.Context, fold *piccolo.Fold) (piccolo.Folded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return piccolo.Folded{}, errors.New("the database is closed")
	}
	tx := transaction{store: s, stmts: &s.stmts}
	err := s.conn.Raw(func(any) error { return tx.run(fold) })
	if err != nil {
		if tx.quarantineChanged {
			err = errors.Join(err, s.loadQuarantined(ctx))
		}
		clear(s.expiry) // it may have gone ahead
		return piccolo.Folded{}, err
	}
	// Invariant: what is acked is in the file that anyone finds at the path.
	if err := s.files.check(); err != nil {
		return piccolo.Folded{}, err
	}
	s.wal.committed(s)
	return tx.folded, nil
}

// transaction is one commit on its way.
type transaction struct {
	store             *Store
	stmts             *statements
	folded            piccolo.Folded
	quarantineChanged bool // so a rollback must load the set of keys again
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
// while no key is in the quarantine, which one of these may put there, and
// where all of them add.
func (tx *transaction) add(deltas []piccolo.Delta) error {
	tx.folded.Rows = len(deltas)
	for len(deltas) >= chunk && len(tx.store.quarantined) == 0 {
		args, sets := tx.stmts.upsertMany.args, false
		for i, d := range deltas[:chunk] {
			args[2*i].Value = d.Key
			args[2*i+1].Value = d.Value
			sets = sets || d.Op != piccolo.OpAdd
		}
		var err error
		if !sets {
			err = tx.stmts.upsertMany.run()
		}
		if sets || isOverflow(err) {
			err = tx.addEach(deltas[:chunk]) // the statement did none of its rows
		}
		if err != nil {
			return err
		}
		deltas = deltas[chunk:]
	}
	return tx.addEach(deltas)
}

func (tx *transaction) addEach(deltas []piccolo.Delta) error {
	for _, d := range deltas {
		if d.Op != piccolo.OpAdd {
			if err := tx.replace(d); err != nil {
				return err
			}
			continue
		}
		if _, ok := tx.store.quarantined[d.Key]; ok {
			if err := tx.settle(d); err != nil {
				return err
			}
			continue
		}
		args := tx.stmts.upsert.args
		args[0].Value, args[1].Value = d.Key, d.Value
		err := tx.stmts.upsert.run()
		if isOverflow(err) {
			err = tx.settle(d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// replace sets or removes a key, and what the quarantine has of it goes too.
func (tx *transaction) replace(d piccolo.Delta) error {
	if _, ok := tx.store.quarantined[d.Key]; ok {
		held, err := tx.stmts.held.integers(d.Key)
		if err != nil {
			return err
		}
		if err := tx.release(d.Key, held); err != nil {
			return err
		}
	}
	if d.Op == piccolo.OpRemove {
		return tx.stmts.remove.exec(d.Key)
	}
	return tx.stmts.set.exec(d.Key, d.Value)
}

// release rids the quarantine of a key, which has held there.
func (tx *transaction) release(key string, held []int64) error {
	tx.quarantineChanged = true
	for _, v := range held {
		tx.folded.Released = append(tx.folded.Released, piccolo.Increment{Key: key, Value: v})
	}
	delete(tx.store.quarantined, key)
	return tx.stmts.release.exec(key)
}

// settle adds a delta where int64 may not hold the sum. The key's true total
// is its value, its rows in the quarantine and the delta; where that fits, it
// becomes the value and the quarantine is rid of the key. So a value is exact
// whenever it can be, whatever the order of the deltas that led to it.
func (tx *transaction) settle(d piccolo.Delta) error {
	tx.quarantineChanged = true
	value, _, err := tx.stmts.value.integer(d.Key)
	if err != nil {
		return err
	}
	held, err := tx.stmts.held.integers(d.Key)
	if err != nil {
		return err
	}
	total := big.NewInt(value)
	for _, v := range append(held, d.Value) {
		total.Add(total, big.NewInt(v))
	}
	switch {
	case total.IsInt64():
	case d.Value == 0:
		return nil // there is nothing to hold
	default:
		tx.folded.Quarantined = append(tx.folded.Quarantined, piccolo.Increment{Key: d.Key, Value: d.Value})
		tx.store.quarantined[d.Key] = struct{}{}
		return tx.stmts.hold.exec(d.Key, d.Value)
	}
	return errors.Join(tx.stmts.set.exec(d.Key, total.Int64()), tx.release(d.Key, held))
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

func (s *Store) loadQuarantined(ctx context.Context) error {
	s.quarantined = make(map[string]struct{})
	rows, err := s.conn.QueryContext(ctx, "SELECT DISTINCT key FROM quarantine")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return err
		}
		s.quarantined[key] = struct{}{}
	}
	return rows.Err()
}
