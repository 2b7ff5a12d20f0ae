package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
)

// statements are prepared once, on the connection that writes, and used below
// database/sql, whose locks and conversions cost as much as a small upsert.
type statements struct {
	begin, commit, rollback statement
	upsert, upsertMany      statement

	fence, account, position, reject statement
	value, set, remove               statement
	hold, holdMany, release          statement
	spent, spend, expire, expiry     statement
}

// chunk is how many rows one upsert statement carries. Above a few dozen the
// cost of a row is SQLite's own.
const chunk = 64

const upsertRows = ` ON CONFLICT (key) DO UPDATE SET value = value + excluded.value`

func (s *statements) prepare(ctx context.Context, conn *sql.Conn) error {
	return conn.Raw(func(dc any) error {
		preparer := dc.(driver.ConnPrepareContext)
		for dst, query := range map[*statement]string{
			&s.begin:    `BEGIN IMMEDIATE`,
			&s.commit:   `COMMIT`,
			&s.rollback: `ROLLBACK`,

			&s.upsert:     `INSERT INTO numbers VALUES (?, ?)` + upsertRows,
			&s.upsertMany: `INSERT INTO numbers VALUES ` + placeholders("(?, ?)", chunk) + upsertRows,

			&s.fence: `SELECT epoch FROM fence`,
			&s.account: `INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
				watermark = excluded.watermark, above = excluded.above, batches = excluded.batches,
				increments = excluded.increments, sum = excluded.sum, skipped = excluded.skipped`,
			&s.position: `INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET
				created_us = excluded.created_us, stream_seq = excluded.stream_seq`,
			&s.reject: `INSERT INTO rejected ("partition", stream_seq, stored_us, reason, data) VALUES (?, ?, ?, ?, coalesce(?, x''))
				ON CONFLICT DO NOTHING`,

			&s.value:  `SELECT value FROM numbers WHERE key = ?`,
			&s.set:    `INSERT INTO numbers VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
			&s.remove: `DELETE FROM numbers WHERE key = ?`,
			&s.hold:   `INSERT INTO quarantine (key, value) VALUES (?, ?)`,
			&s.holdMany: `WITH RECURSIVE times (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM times WHERE n < ?3)
				INSERT INTO quarantine (key, value) SELECT ?1, ?2 FROM times`,
			&s.release: `DELETE FROM quarantine WHERE key = ?`,

			&s.spent: `SELECT payload, expires_us FROM tokens WHERE token = ? AND "partition" = ?`,
			&s.spend: `INSERT INTO tokens VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
				payload = excluded.payload, expires_us = excluded.expires_us`,
			&s.expire: `DELETE FROM tokens WHERE (token, "partition") IN (
				SELECT token, "partition" FROM tokens WHERE "partition" = ? AND expires_us <= ? ORDER BY expires_us LIMIT ?)`,
			&s.expiry: `SELECT expires_us FROM tokens WHERE "partition" = ? ORDER BY expires_us LIMIT 1`,
		} {
			stmt, err := preparer.PrepareContext(ctx, query)
			if err != nil {
				return fmt.Errorf("prepare %q: %w", query, err)
			}
			dst.stmt = stmt
			dst.args = make([]driver.NamedValue, strings.Count(query, "?"))
			for i := range dst.args {
				dst.args[i].Ordinal = i + 1
			}
		}
		return nil
	})
}

// all are the statements.
func (s *statements) all() []*statement {
	return []*statement{
		&s.begin, &s.commit, &s.rollback, &s.upsert, &s.upsertMany,
		&s.fence, &s.account, &s.position, &s.reject,
		&s.value, &s.set, &s.remove, &s.hold, &s.holdMany, &s.release,
		&s.spent, &s.spend, &s.expire, &s.expiry,
	}
}

// forget lets go of the arguments: they are keys, which are parts of messages that
// would be kept until the next commit.
func (s *statements) forget() {
	for _, st := range s.all() {
		for i := range st.args {
			st.args[i].Value = nil
		}
	}
}

func (s *statements) close() {
	for _, st := range s.all() {
		if st.stmt != nil {
			_ = st.stmt.Close() // the connection goes with it
		}
	}
}

// statement is a prepared statement of the driver with room for its arguments.
// It may be used by one goroutine, while it holds the connection.
type statement struct {
	stmt driver.Stmt
	args []driver.NamedValue
}

// run executes the statement with what stands in args.
func (st *statement) run() error {
	_, err := st.result()
	return err
}

func (st *statement) result() (driver.Result, error) {
	return st.stmt.(driver.StmtExecContext).ExecContext(context.Background(), st.args)
}

// change executes the statement and returns how many rows it changed.
func (st *statement) change(args ...driver.Value) (rows int64, err error) {
	st.bind(args)
	result, err := st.result()
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (st *statement) exec(args ...driver.Value) error {
	st.bind(args)
	return st.run()
}

func (st *statement) bind(args []driver.Value) {
	for i, v := range args {
		st.args[i].Value = v
	}
}

// integers returns the rows one after the other, whose columns are integers.
func (st *statement) integers(args ...driver.Value) (values []int64, err error) {
	st.bind(args)
	rows, err := st.stmt.(driver.StmtQueryContext).QueryContext(context.Background(), st.args)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case err == io.EOF:
			return values, nil
		case err != nil:
			return nil, err
		}
		for _, v := range row {
			values = append(values, v.(int64))
		}
	}
}

// integer returns the first column of the first row, and whether there is one.
func (st *statement) integer(args ...driver.Value) (value int64, ok bool, err error) {
	values, err := st.integers(args...)
	if err != nil || len(values) == 0 {
		return 0, false, err
	}
	return values[0], true, nil
}
