package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// BackupInfo says what a backup holds.
type BackupInfo struct {
	Database string // its id
	Numbers  int64
	Bytes    int64
}

// Backup copies the database at from, as it is at this moment, to a new file,
// and checks that. The service may go on meanwhile. The file appears under its
// name only when it is whole and on disk.
func Backup(ctx context.Context, from, to string) (info BackupInfo, err error) {
	switch _, err := os.Stat(to); {
	case err == nil:
		return info, fmt.Errorf("backup to %s: %w: choose another name, or remove it first", to, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return info, fmt.Errorf("backup to %s: %w", to, err)
	}
	source, err := OpenReader(ctx, from)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	half := to + ".tmp"
	if err := removeDatabase(half); err != nil { // of a backup that was cut off
		return info, fmt.Errorf("backup to %s: %w", to, err)
	}
	defer func() { err = errors.Join(err, removeDatabase(half)) }()
	if err := sameAccess(from, half); err != nil {
		return info, fmt.Errorf("backup to %s: %w", to, err)
	}
	if err := source.copyTo(ctx, half); err != nil {
		return info, fmt.Errorf("backup to %s: %w", to, explain(err))
	}
	if info, err = inspect(ctx, half); err != nil {
		return info, fmt.Errorf("the copy is damaged, is the source? %w", err)
	}
	// A link, unlike a rename, replaces nothing.
	if err := errors.Join(syncPath(half), os.Link(half, to), syncPath(filepath.Dir(to))); err != nil {
		return info, fmt.Errorf("backup to %s: %w", to, err)
	}
	return info, nil
}

// sameAccess makes an empty file that nobody may read who may not read the
// database at from.
func sameAccess(from, to string) error {
	like, err := os.Stat(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, like.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// copyTo copies all pages in one step, which reads one snapshot: in several, it
// would start anew at each commit of the service.
func (r *Reader) copyTo(ctx context.Context, path string) error {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(dc any) error {
		backup, err := dc.(interface {
			NewBackup(string) (*sqlite.Backup, error)
		}).NewBackup(dsn(path, "_pragma=synchronous(off)")) // it is synced as a whole
		if err != nil {
			return err
		}
		for more := true; more && err == nil; {
			more, err = backup.Step(-1)
			if isBusy(err) && ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
				more, err = true, nil
			}
		}
		return errors.Join(err, backup.Finish())
	})
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// inspect has SQLite check the whole file, and reads what it holds.
func inspect(ctx context.Context, path string) (info BackupInfo, err error) {
	db, err := sql.Open("sqlite", dsn(path, readOptions))
	if err != nil {
		return info, err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
		return info, err
	}
	if result != "ok" {
		return info, errors.New(result)
	}
	err = db.QueryRowContext(ctx, `SELECT (SELECT id FROM identity), (SELECT count(*) FROM numbers),
		(SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)`).Scan(&info.Database, &info.Numbers, &info.Bytes)
	return info, err
}

// removeDatabase removes a database and what SQLite keeps beside it.
func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
