package sqlite

import (
	"context"
	"database/sql/driver"
)

// Chunk is how many rows one upsert statement carries.
const Chunk = chunk

// WALBytes is how much the WAL may hold before it is moved.
const WALBytes = walBytes

// AwaitCheckpoint returns when no checkpoint is running.
func (s *Store) AwaitCheckpoint() { s.wal.wait() }

// Int asks the connection that writes for a number.
func (s *Store) Int(ctx context.Context, query string) (n int, err error) {
	err = s.conn.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}

// ExpireChunk is how many expired tokens a transaction removes at most.
const ExpireChunk = expireChunk

// CountSteps counts the statements of commits from now on, and the rows that
// they read.
func (s *Store) CountSteps() *int {
	n := new(int)
	for _, st := range s.stmts.all() {
		st.stmt = countedStmt{st.stmt, n}
	}
	return n
}

type countedStmt struct {
	driver.Stmt
	n *int
}

func (c countedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	*c.n++
	return c.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (c countedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	*c.n++
	rows, err := c.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	return countedRows{rows, c.n}, err
}

type countedRows struct {
	driver.Rows
	n *int
}

func (c countedRows) Next(row []driver.Value) error {
	*c.n++
	return c.Rows.Next(row)
}
