package sqlite

import (
	"context"
	"fmt"
)

// SetPartitions brings the database to the number of partitions that the stream
// has. It may have become a multiple of what it was: then the keys of a partition
// p are in p, p+before, p+2·before… now, and so may be the retry of whatever was
// counted under a token in p.
func (s *Store) SetPartitions(ctx context.Context, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	var before int
	if err := tx.QueryRowContext(ctx, `SELECT partitions FROM identity`).Scan(&before); err != nil {
		return explain(err)
	}
	switch {
	case before == n:
		return nil
	case before != 0 && (n < before || n%before != 0):
		return fmt.Errorf("%s was written for %d partitions, and the stream has %d: a stream grows to a multiple of what it had; is this another stream's database? If it is not, make the stream again with --partitions %d", s.path, before, n, before)
	}
	for from := before; before != 0 && from < n; from += before {
		_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO tokens (token, "partition", payload, expires_us)
			SELECT token, "partition" + ?, payload, expires_us FROM tokens WHERE "partition" < ?`, from, before)
		if err != nil {
			return explain(err)
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE identity SET partitions = ?`, n); err != nil {
		return explain(err)
	}
	return explain(tx.Commit())
}
