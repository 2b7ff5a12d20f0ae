// Package sqlite keeps numbers and ledger in a SQLite database that anyone may
// read with any tool, while it is written.
//
// One Store is the only writer of its database: it takes an epoch when it is
// opened for writing, and every transaction checks that the epoch still
// stands. Reading has its own connections, which see the last commit and are
// never in the writer's way (WAL).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/piccolo-counter/piccolo"
)

// Store is a database of numbers, opened for writing.
type Store struct {
	path  string
	write *sql.DB // one connection, which holds the epoch
	read  *Reader
	tidy  *sql.DB // one connection, for checkpoints off the commit path

	mu     sync.Mutex // held by a commit
	closed bool

	conn  *sql.Conn
	stmts statements
	epoch int64
	id    string
	files files

	// quarantined is what the rows in the quarantine come to, by key: every
	// delta of these goes the slow way. Nearly always empty.
	quarantined map[string]*big.Int
	beyond      atomic.Int64 // how many these are, for others to read

	// expiry is, by partition, a time before which none of its tokens expires,
	// in microseconds of Unix time; a partition of which that is not known is
	// missing.
	expiry map[int]int64

	wal checkpoints
}

// Pragmas of every connection that may write. synchronous=FULL is what makes a
// commit survive a power cut; NORMAL was seen to lose commits. Pages of 2 KiB,
// in a new file, are between what suits few keys, of which a commit has many, and
// what keeps small what a commit of scattered keys has to write.
//
// The journal's mode is none of them: the driver sets pragmas by their names'
// order, and journal_mode=wal would fix the size of the pages before page_size
// does, and change a database that is then refused.
const (
	pragmas = "_txlock=immediate" +
		"&_pragma=busy_timeout(5000)" +
		"&_pragma=synchronous(full)" +
		"&_pragma=journal_size_limit(100663296)"

	writePragmas = pragmas +
		"&_pragma=page_size(2048)" +
		"&_pragma=wal_autocheckpoint(0)" + // checkpoints.go
		"&_pragma=cache_size(-65536)" // KiB
)

func dsn(path, options string) string {
	// A plain path would drop every option behind it.
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: options}).String()
}

// Open opens the database at path for writing, creating or migrating it, and
// fences off whoever had it open for writing before.
func Open(ctx context.Context, path string) (_ *Store, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, expiry: make(map[int]int64)}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if s.write, err = sql.Open("sqlite", dsn(path, writePragmas)); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	if s.conn, err = s.write.Conn(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explain(err))
	}
	if err = migrate(ctx, s.conn); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explain(err))
	}
	var journal string
	if err = s.conn.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&journal); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explain(err))
	}
	if journal != "wal" {
		return nil, fmt.Errorf("open %s: the file system has no shared memory for a write-ahead log: keep the database on a local disk", path)
	}
	if err = s.stmts.prepare(ctx, s.conn); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	row := s.conn.QueryRowContext(ctx, `UPDATE fence SET epoch = epoch + 1 RETURNING epoch`)
	if err = row.Scan(&s.epoch); err != nil {
		return nil, fmt.Errorf("open %s: take the epoch: %w", path, explain(err))
	}
	if err = s.conn.QueryRowContext(ctx, `SELECT id FROM identity`).Scan(&s.id); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explain(err))
	}
	if err = s.wal.open(ctx, s.conn); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if s.files, err = openFiles(path); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err = s.loadQuarantined(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if s.read, err = OpenReader(ctx, path); err != nil {
		return nil, err
	}
	if s.tidy, err = sql.Open("sqlite", dsn(path, pragmas)); err != nil {
		return nil, err
	}
	s.tidy.SetMaxOpenConns(1)
	return s, nil
}

// Close releases the database. The last connection to close moves what stands
// in the WAL into the database file.
//
// A commit on its way is waited for, and none can follow: a stop that ran out of
// time closes while the writer works.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wal.wait()
	var errs []error
	if s.conn != nil {
		s.stmts.close()
		errs = append(errs, s.conn.Close())
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	for _, db := range []*sql.DB{s.tidy, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Path is the absolute path of the database.
func (s *Store) Path() string { return s.path }

// ID names the database, and every copy of it: 16 hexadecimal digits.
func (s *Store) ID() string { return s.id }

// Check says whether the files that are open are still those at the path.
func (s *Store) Check(context.Context) error { return s.files.check() }

// WALBytes is the size of the write-ahead log's file.
func (s *Store) WALBytes() int64 {
	info, err := os.Stat(s.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// ErrDamaged : the file is no whole database.
var ErrDamaged = errors.New("the database file is damaged")

// explain turns SQLite's codes into the errors that callers tell apart, and
// says what to do where SQLite does not.
func explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w: free some space; a service that runs goes on by itself", piccolo.ErrNoRoom, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: %w: find it with fuser or lsof", piccolo.ErrLocked, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: does the directory exist, and may this user write there?", err)
	case sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%w: give this user write permission on the file and its directory", err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w: restore it from a backup; what the stream still holds is folded again by itself", ErrDamaged, err)
	}
	return err
}

func isDamaged(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

func isOverflow(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code() == sqlite3.SQLITE_CONSTRAINT_DATATYPE
}

func placeholders(row string, n int) string {
	return strings.TrimSuffix(strings.Repeat(row+",", n), ",")
}
