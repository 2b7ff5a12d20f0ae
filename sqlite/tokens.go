package sqlite

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Spent returns those of the tokens that have been counted in a partition,
// expired ones too as long as they are kept.
func (s *Store) Spent(_ context.Context, partition int, tokens []piccolo.Token) (spent []piccolo.Spent, err error) {
	err = s.look(func() error {
		for _, token := range tokens {
			row, err := s.stmts.spent.integers(token[:], int64(partition))
			if err != nil {
				return err
			}
			if len(row) > 0 {
				spent = append(spent, piccolo.Spent{
					Claim:     piccolo.Claim{Token: token, Payload: uint64(row[0])},
					Partition: partition,
					Expires:   time.UnixMicro(row[1]),
				})
			}
		}
		return nil
	})
	return spent, err
}

// Totals returns the totals of keys modulo 2^64: value and quarantine. It is 0
// for a key that is not there.
func (s *Store) Totals(_ context.Context, keys []string) (map[string]int64, error) {
	totals := make(map[string]int64, len(keys))
	err := s.look(func() error {
		for _, key := range keys {
			total, _, err := s.stmts.value.integer(key)
			if err != nil {
				return err
			}
			totals[key] = total + low64(s.held(key))
		}
		return nil
	})
	return totals, err
}

// look reads on the connection that writes.
func (s *Store) look(read func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the database is closed")
	}
	return explain(s.conn.Raw(func(any) error { return read() }))
}

// expireChunk is how many expired tokens a transaction removes at most, besides
// two for each that it adds: more than come, and never so many that it would be
// long.
const expireChunk = 64

// spend enters the tokens of a fold, and removes some that have expired.
func (tx *transaction) spend(fold *piccolo.Fold) error {
	expiry := tx.store.expiry
	for _, t := range fold.Tokens {
		expires := t.Expires.UnixMicro()
		if err := tx.stmts.spend.exec(t.Token[:], int64(t.Partition), int64(t.Payload), expires); err != nil {
			return err
		}
		if soonest, ok := expiry[t.Partition]; ok {
			expiry[t.Partition] = min(soonest, expires)
		}
	}
	for partition, now := range fold.Expired {
		if soonest, ok := expiry[partition]; ok && now.UnixMicro() < soonest {
			continue
		}
		err := tx.stmts.expire.exec(int64(partition), now.UnixMicro(), int64(expireChunk+2*len(fold.Tokens)))
		if err != nil {
			return err
		}
		soonest, ok, err := tx.stmts.expiry.integer(int64(partition))
		if err != nil {
			return err
		}
		if !ok {
			soonest = math.MaxInt64
		}
		expiry[partition] = soonest
	}
	return nil
}
