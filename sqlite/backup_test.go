package sqlite_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// A backup taken between commits of a store that goes on is one of its states,
// whole: numbers and ledger fit, and it can be opened as a database.
func TestBackupWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.db")
	store := open(t, path)
	ledger := new(piccolo.Ledger)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for seq := uint64(1); ; seq++ {
			var deltas []piccolo.Delta
			for key := range 100 {
				deltas = append(deltas, piccolo.Delta{Key: fmt.Sprintf("key-%03d", key), Value: 1})
			}
			f := foldOf(ledger, batchOf("p", seq, deltas...))
			for o, a := range f.Accounts {
				ledger.Put(o, *a)
			}
			if _, err := store.Commit(t.Context(), f); err != nil {
				stopped <- err
				return
			}
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
		}
	}()
	for i := range 5 {
		copied := filepath.Join(t.TempDir(), fmt.Sprintf("%d.db", i))
		info, err := sqlite.Backup(t.Context(), path, copied)
		if err != nil {
			t.Fatal(err)
		}
		if info.Database != store.ID() || info.Bytes == 0 {
			t.Errorf("the backup is %+v of database %s", info, store.ID())
		}
		db := outside(t, copied)
		db.want(t, "SELECT count(DISTINCT value) <= 1 FROM numbers", "1")
		db.want(t, "SELECT coalesce((SELECT sum(value) FROM numbers), 0) = coalesce((SELECT sum(sum) FROM ledger), 0)", "1")
		add(t, open(t, copied), "more", 1)
		for _, left := range []string{".tmp", ".tmp-wal", ".tmp-shm", ".tmp-journal"} {
			if _, err := os.Stat(copied + left); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left: %v", left, err)
			}
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Who may not read the database may not read its backup.
func TestBackupIsForTheSameReaders(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "numbers.db"), filepath.Join(dir, "copy.db")
	open(t, from)
	if err := os.Chmod(from, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Backup(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s, error %v", info.Mode(), err)
	}
}

func TestBackupRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.db")
	add(t, open(t, path), "a", 1)
	there := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(there, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Backup(t.Context(), path, there); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: got error %v, want %v", err, fs.ErrExist)
	}
	if data, err := os.ReadFile(there); string(data) != "precious" || err != nil {
		t.Errorf("the file is %q, error %v", data, err)
	}
	if _, err := sqlite.Backup(t.Context(), there+".none", there+".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: got error %v, want %v", err, fs.ErrNotExist)
	}
	if _, err := sqlite.Backup(t.Context(), path, filepath.Join(there+".none", "b")); err == nil {
		t.Error("into no directory: no error")
	}
}
