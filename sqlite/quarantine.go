package sqlite

import (
	"context"
	"math"
	"math/big"
	"strings"

	"github.com/piccolo-counter/piccolo"
)

// The quarantine holds what int64 does not of a key's true total, in as many
// rows as that takes. What it comes to by key is known to the store, so that a
// delta costs the same however many rows there are; and the deltas that a fold
// has of a key are settled at once. Otherwise a client could make a fold as long
// as it likes, and every start after it, with a body of large values.

// entry is what the database has of a key.
type entry struct {
	exists bool     // in numbers
	value  int64    // there
	held   *big.Int // in the quarantine
}

// after returns the entry after deltas of its key, and whether all that the
// quarantine held before has left it.
//
// Invariant: value and held make up the true total, and where that fits into
// int64 it is the value. While it does not, the value stays what it was.
func (e entry) after(deltas []piccolo.Delta) (_ entry, released bool) {
	total := new(big.Int).Add(big.NewInt(e.value), e.held)
	var value big.Int
	for i := range deltas {
		d := &deltas[i]
		value.SetInt64(d.Value)
		if d.Op == piccolo.OpAdd {
			total.Add(total, &value)
		} else {
			total.Set(&value)
		}
		e.exists = d.Op != piccolo.OpRemove
		if total.IsInt64() {
			e.value, released = total.Int64(), true
		}
	}
	e.held = total.Sub(total, value.SetInt64(e.value))
	return e, released
}

// settle applies deltas of one key where int64 may not hold the sum, or where
// one of them does not add.
func (tx *transaction) settle(deltas []piccolo.Delta) (err error) {
	key := deltas[0].Key
	before := entry{held: tx.held(key)}
	if deltas[0].Op == piccolo.OpAdd { // or it does not matter
		if before.value, before.exists, err = tx.stmts.value.integer(key); err != nil {
			return err
		}
	}
	after, released := before.after(deltas)
	if !after.exists {
		err = tx.stmts.remove.exec(key)
	} else if !before.exists || after.value != before.value {
		err = tx.stmts.set.exec(key, after.value)
	}
	if err != nil {
		return err
	}
	more := after.held
	if !released {
		more = new(big.Int).Sub(after.held, before.held)
	} else if before.held.Sign() != 0 {
		if err := tx.release(key); err != nil {
			return err
		}
	}
	return tx.hold(key, more)
}

// hold puts an amount into the quarantine.
func (tx *transaction) hold(key string, amount *big.Int) error {
	if amount.Sign() == 0 {
		return nil
	}
	tx.keep(key, new(big.Int).Add(tx.held(key), amount))
	// As many rows as can be of the largest value, and one of what is left.
	end := int64(math.MaxInt64)
	if amount.Sign() < 0 {
		end = math.MinInt64
	}
	full, rest := new(big.Int).QuoRem(amount, big.NewInt(end), new(big.Int))
	rows := full.Int64()
	if rows > 0 {
		if err := tx.stmts.holdMany.exec(key, end, rows); err != nil {
			return err
		}
	}
	if rest.Sign() != 0 {
		rows++
		if err := tx.stmts.hold.exec(key, rest.Int64()); err != nil {
			return err
		}
	}
	tx.folded.Quarantined.Add(key, int(rows))
	return nil
}

// release rids the quarantine of a key.
func (tx *transaction) release(key string) error {
	tx.keep(key, new(big.Int))
	rows, err := tx.stmts.release.change(key)
	tx.folded.Released.Add(key, int(rows))
	return err
}

// held is what the quarantine has of a key. It is not to be changed.
func (tx *transaction) held(key string) *big.Int {
	if held := tx.quarantined[key]; held != nil {
		return held
	}
	return tx.store.held(key)
}

func (s *Store) held(key string) *big.Int {
	if held := s.quarantined[key]; held != nil {
		return held
	}
	return nothing
}

var nothing = new(big.Int)

// low64 is x modulo 2^64.
func low64(x *big.Int) int64 {
	return int64(new(big.Int).And(x, mask64).Uint64())
}

var mask64 = new(big.Int).SetUint64(math.MaxUint64)

// keep notes what the quarantine will have of a key.
func (tx *transaction) keep(key string, held *big.Int) {
	if tx.quarantined == nil {
		tx.quarantined = make(map[string]*big.Int)
	}
	tx.quarantined[key] = held
}

// keepQuarantined is called after the commit.
func (tx *transaction) keepQuarantined() {
	for key, held := range tx.quarantined {
		if held.Sign() == 0 {
			delete(tx.store.quarantined, key)
		} else {
			// A delta's key is part of its message, which would be kept with it. And a
			// map that has the key already takes over the new one's bytes.
			tx.store.quarantined[strings.Clone(key)] = held
		}
	}
	tx.store.beyond.Store(int64(len(tx.store.quarantined)))
}

// Quarantined is how many keys have a total beyond int64.
func (s *Store) Quarantined() int64 { return s.beyond.Load() }

// loadQuarantined adds the rows up by key, in halves that fit into int64.
func (s *Store) loadQuarantined(ctx context.Context) error {
	s.quarantined = make(map[string]*big.Int)
	rows, err := s.conn.QueryContext(ctx, `SELECT key, sum(value >> 32), sum(value & 0xffffffff) FROM quarantine GROUP BY key`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var high, low int64
		if err := rows.Scan(&key, &high, &low); err != nil {
			return err
		}
		held := big.NewInt(high)
		held.Lsh(held, 32).Add(held, big.NewInt(low))
		s.quarantined[key] = held
	}
	s.beyond.Store(int64(len(s.quarantined)))
	return rows.Err()
}
