package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
)

// checkpoints moves what the WAL holds into the database file, mostly beside
// the commits and not between them.
//
// SQLite's own way is to checkpoint inside the commit that takes the WAL over a
// limit, which makes that commit wait for all of it. Here a second connection
// does a passive checkpoint while commits go on. What they added meanwhile is
// little, and the next commit moves that: then all of the WAL is in the
// database, and the one after starts it again from the top. That bounds it.
type checkpoints struct {
	limit int         // pages that the WAL may hold before it is moved
	pages int         // written to the WAL since it was last started again
	seen  int         // what the connection's counter said last
	tail  atomic.Bool // the second connection is done, the rest is ours

	running sync.WaitGroup
	busy    atomic.Bool
}

// walBytes is how much the WAL may hold before it is moved. More would save
// work, since a page that changes often is moved once.
const walBytes = 64 << 20

func (c *checkpoints) open(ctx context.Context, conn *sql.Conn) error {
	var pageSize int
	if err := conn.QueryRowContext(ctx, "PRAGMA page_size").Scan(&pageSize); err != nil {
		return explain(err)
	}
	c.limit = walBytes / pageSize
	return nil
}

func (c *checkpoints) committed(s *Store) {
	written := s.pagesWritten()
	c.pages += written - c.seen
	c.seen = written
	switch {
	case c.pages < c.limit || c.busy.Load():
	case c.tail.CompareAndSwap(true, false):
		if _, err := s.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)"); err == nil {
			c.pages = 0
		}
	default:
		c.busy.Store(true)
		c.running.Go(func() {
			// Failing is no harm: the WAL holds everything, and the next
			// commit asks again.
			_, err := s.tidy.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
			c.tail.Store(err == nil)
			c.busy.Store(false)
		})
	}
}

func (c *checkpoints) wait() { c.running.Wait() }

// pagesWritten counts the pages that the writing connection has put into the
// WAL since it was opened.
func (s *Store) pagesWritten() (n int) {
	_ = s.conn.Raw(func(dc any) (err error) {
		n, _, err = dc.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, false)
		return err
	})
	return n
}
