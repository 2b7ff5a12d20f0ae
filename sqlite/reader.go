package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Reader reads the committed numbers of a database, also while another process
// writes it. It never writes itself: it neither takes the epoch nor migrates.
type Reader struct {
	db *sql.DB // query_only, as many connections as readers need
}

// Options of a reader's connections. The journal's mode belongs to the writer:
// to set it is to write.
const (
	readOptions = "mode=ro" +
		"&_pragma=busy_timeout(5000)" +
		"&_pragma=query_only(1)"

	readers = 4
)

// OpenReader opens the database at path for reading. Where there is none the
// error is fs.ErrNotExist.
func OpenReader(ctx context.Context, path string) (_ *Reader, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// SQLite would say no more than that it cannot open the file.
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open %s: %w", path, fs.ErrNotExist)
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("open %s: this is a directory: name the database file in it", path)
	}
	db, err := sql.Open("sqlite", dsn(path, readOptions))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	ours, err := hasSchema(ctx, db)
	if err == nil && !ours {
		err = errors.New("this is no database of piccolo: one of its ancestor is migrated when the service first opens it")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, explain(err)), db.Close())
	}
	return &Reader{db}, nil
}

// Value reads the committed value of a key, and whether it was ever counted.
func (r *Reader) Value(ctx context.Context, key string) (value int64, ok bool, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT value FROM numbers WHERE key = ?", key).Scan(&value)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, explain(err)
	}
	return value, true, nil
}

// Close releases the connections.
func (r *Reader) Close() error { return r.db.Close() }
