package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A partition moves from one database to another in three steps, each of which
// may be done again after a crash: Receive copies it, the stream's consumer is
// told of its new database, and Forget removes it from the old one. Until the
// second step the copy counts for nothing, after it the original does.
//
// What moves: the numbers and the quarantine of the partition's keys, its
// accounts in the ledger, its tokens and its position. The accounts need not
// sum up to the numbers: in a stream that grew, the early days of a partition's
// keys are in another's accounts. An account of no batches makes up for that on
// either side, so that each database adds up: "moved-", the other's id and that
// of the move where the partition came, "gone-" and the other's id where it went. The account of a
// producer has batches, whatever that is called.

// Receive copies a partition, of a stream that has so many, from the database it
// belongs to, and returns how many numbers that were. What an earlier try has
// left is replaced. The move, 16 hexadecimal digits, tells the database from an
// older copy of it, which Moves does not have it of.
func (s *Store) Receive(ctx context.Context, from *Store, move string, partition, partitions int) (numbers int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.conn.ExecContext(ctx, `ATTACH ? AS source`, dsn(from.path, "mode=ro")); err != nil {
		return 0, explain(err)
	}
	defer func() {
		_, detached := s.conn.ExecContext(context.WithoutCancel(ctx), `DETACH source`)
		err = errors.Join(err, detached)
	}()
	err = s.change(ctx, partition, partitions, func(tx *partitionTx) error {
		have, err := tx.numbers("main")
		if err != nil {
			return err
		}
		var tried bool
		err = tx.scan([]any{&tried}, `SELECT count(*) > 0 FROM main.ledger WHERE producer GLOB 'moved-' || ? || '-*' AND batches = 0 AND "partition" = ?`, from.id, partition)
		if err != nil {
			return err
		}
		if have.count > 0 && !tried {
			return fmt.Errorf("%s holds %d keys of partition %d, which belongs to %s: they would be lost", s.path, have.count, partition, from.path)
		}
		want, err := tx.numbers("source")
		if err != nil {
			return err
		}
		if have.count > 0 && want.count == 0 {
			return fmt.Errorf("%s holds nothing of partition %d, and %s has %d keys: has it moved already?", from.path, partition, s.path, have.count)
		}
		if err := tx.remove(); err != nil {
			return err
		}
		accounts, err := tx.accounts("source")
		if err != nil {
			return err
		}
		for _, query := range []string{
			`INSERT INTO main.numbers SELECT * FROM source.numbers WHERE partition_of(key, :n) = :p`,
			`INSERT INTO main.quarantine (key, value, at) SELECT key, value, at FROM source.quarantine WHERE partition_of(key, :n) = :p`,
			`INSERT INTO main.ledger SELECT * FROM source.ledger WHERE "partition" = :p AND ` + goes,
			`INSERT INTO main.tokens SELECT * FROM source.tokens WHERE "partition" = :p`,
			`INSERT INTO main.positions SELECT * FROM source.positions WHERE "partition" = :p`,
			`UPDATE main.identity SET partitions = :n`,
		} {
			if err := tx.exec(query); err != nil {
				return err
			}
		}
		numbers = want.count
		return tx.adjust("moved-"+from.id+"-"+move, want.sum-accounts)
	})
	return numbers, err
}

// Forget removes a partition that the database to has received by a move.
func (s *Store) Forget(ctx context.Context, to *Store, move string, partition, partitions int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var received bool
	err := to.conn.QueryRowContext(ctx, `SELECT count(*) > 0 FROM ledger WHERE producer = ? AND batches = 0 AND "partition" = ?`, "moved-"+s.id+"-"+move, partition).Scan(&received)
	if err != nil {
		return explain(err)
	}
	return s.change(ctx, partition, partitions, func(tx *partitionTx) error {
		have, err := tx.numbers("main")
		if err != nil {
			return err
		}
		if have.count > 0 && !received {
			return fmt.Errorf("%s holds %d keys of partition %d, which %s has not received: they would be lost", s.path, have.count, partition, to.path)
		}
		accounts, err := tx.accounts("main")
		if err != nil {
			return err
		}
		if err := tx.remove(); err != nil {
			return err
		}
		return tx.adjust("gone-"+to.id, accounts-have.sum)
	})
}

// Moves returns the ids of the moves that brought partitions here, and to the
// databases where they were before.
func (s *Store) Moves(ctx context.Context) (map[int][]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, err := s.conn.QueryContext(ctx, `SELECT "partition", substr(producer, -16) FROM ledger WHERE producer GLOB 'moved-*-*' AND batches = 0`)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	moves := make(map[int][]string)
	for rows.Next() {
		var partition int
		var move string
		if err := rows.Scan(&partition, &move); err != nil {
			return nil, fmt.Errorf("read the moves: %w", err)
		}
		moves[partition] = append(moves[partition], move)
	}
	return moves, explain(rows.Err())
}

// change changes a partition in one transaction, with all that f does or none.
func (s *Store) change(ctx context.Context, partition, partitions int, f func(*partitionTx) error) error {
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	if err := f(&partitionTx{ctx, tx, partition, partitions}); err != nil {
		return errors.Join(explain(err), tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return explain(err)
	}
	return s.loadQuarantined(ctx)
}

// partitionTx is a transaction about one partition.
type partitionTx struct {
	ctx           context.Context
	tx            *sql.Tx
	partition, of int
}

func (tx *partitionTx) exec(query string) error {
	_, err := tx.tx.ExecContext(tx.ctx, query, sql.Named("n", tx.of), sql.Named("p", tx.partition))
	return err
}

func (tx *partitionTx) scan(dst []any, query string, args ...any) error {
	return tx.tx.QueryRowContext(tx.ctx, query, args...).Scan(dst...)
}

// goes tells the accounts that go with a partition from those that say of one that
// it went, and stay.
const goes = `NOT (batches = 0 AND producer GLOB 'gone-*')`

// held is what a partition's keys come to; the sum is modulo 2^64.
type held struct{ count, sum int64 }

// halves sums a column modulo 2^64, which SQLite's own sum does not: in two
// halves, each of which fits.
const halves = `coalesce(sum(%[1]s >> 32), 0), coalesce(sum(%[1]s & 0xffffffff), 0)`

// numbers reads what the partition's keys in a schema come to.
func (tx *partitionTx) numbers(schema string) (h held, err error) {
	for _, table := range []string{"numbers", "quarantine"} {
		var count, high, low int64
		err := tx.scan([]any{&count, &high, &low}, fmt.Sprintf(`SELECT count(*), `+fmt.Sprintf(halves, "value")+
			` FROM %s.%s WHERE partition_of(key, ?) = ?`, schema, table), tx.of, tx.partition)
		if err != nil {
			return h, err
		}
		h.sum += high<<32 + low
		if table == "numbers" {
			h.count = count
		}
	}
	return h, nil
}

// accounts reads what the partition's accounts in a schema come to.
func (tx *partitionTx) accounts(schema string) (sum int64, err error) {
	var high, low int64
	err = tx.scan([]any{&high, &low}, fmt.Sprintf(`SELECT `+fmt.Sprintf(halves, "sum")+
		` FROM %s.ledger WHERE "partition" = ? AND `+goes, schema), tx.partition)
	return high<<32 + low, err
}

// remove removes the partition.
func (tx *partitionTx) remove() error {
	for _, query := range []string{
		`DELETE FROM main.numbers WHERE partition_of(key, :n) = :p`,
		`DELETE FROM main.quarantine WHERE partition_of(key, :n) = :p`,
		`DELETE FROM main.ledger WHERE "partition" = :p AND ` + goes,
		`DELETE FROM main.tokens WHERE "partition" = :p`,
		`DELETE FROM main.positions WHERE "partition" = :p`,
	} {
		if err := tx.exec(query); err != nil {
			return err
		}
	}
	return nil
}

// adjust has the ledger make up for sum, under the name of no process.
func (tx *partitionTx) adjust(name string, sum int64) error {
	var before int64
	err := tx.scan([]any{&before}, `SELECT sum FROM main.ledger WHERE producer = ? AND "partition" = ?`, name, tx.partition)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = tx.tx.ExecContext(tx.ctx, `INSERT INTO main.ledger (producer, "partition", watermark, above, batches, increments, sum, skipped)
		VALUES (?, ?, 0, '', 0, 0, ?, 0) ON CONFLICT DO UPDATE SET sum = excluded.sum`, name, tx.partition, before+sum)
	return err
}
