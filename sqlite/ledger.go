package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Ledger reads what has been folded.
func (s *Store) Ledger(ctx context.Context) (*piccolo.Ledger, error) {
	rows, err := s.conn.QueryContext(ctx, `SELECT producer, "partition", watermark, above, batches, increments, sum, skipped FROM ledger`)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	ledger := new(piccolo.Ledger)
	for rows.Next() {
		var (
			o          piccolo.Origin
			a          piccolo.Account
			watermark  uint64
			above      string
			increments int64 // modulo 2^64: a publisher may claim any number
			skipped    int64 // the same
		)
		if err := rows.Scan(&o.Producer, &o.Partition, &watermark, &above, &a.Batches, &increments, &a.Sum, &skipped); err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		if a.Seqs, err = piccolo.ParseSeqSet(watermark, above); err != nil {
			return nil, fmt.Errorf("producer %s: %w", o.Producer, err)
		}
		a.Increments, a.Skipped = uint64(increments), uint64(skipped)
		ledger.Put(o, a)
	}
	return ledger, explain(rows.Err())
}

// Positions reads where the writer stands in the stream, by partition.
func (s *Store) Positions(ctx context.Context) (map[int]piccolo.Position, error) {
	return positions(ctx, s.conn)
}

func positions(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}) (map[int]piccolo.Position, error) {
	rows, err := db.QueryContext(ctx, `SELECT "partition", created_us, stream_seq FROM positions`)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	positions := make(map[int]piccolo.Position)
	for rows.Next() {
		var (
			partition int
			created   int64
			p         piccolo.Position
		)
		if err := rows.Scan(&partition, &created, &p.StreamSeq); err != nil {
			return nil, fmt.Errorf("read the positions: %w", err)
		}
		p.Created = time.UnixMicro(created)
		positions[partition] = p
	}
	return positions, explain(rows.Err())
}

// Value reads the committed value of a key, and whether it was ever counted.
func (s *Store) Value(ctx context.Context, key string) (value int64, ok bool, err error) {
	return s.read.Value(ctx, key)
}

// Values reads the committed numbers of keys, as Reader.Values does.
func (s *Store) Values(ctx context.Context, keys []string) ([]piccolo.Number, error) {
	return s.read.Values(ctx, keys)
}

// Page reads a page of the committed numbers, as Reader.Page does.
func (s *Store) Page(ctx context.Context, p *piccolo.Page, partitions []int) ([]piccolo.Number, bool, error) {
	return s.read.Page(ctx, p, partitions)
}
