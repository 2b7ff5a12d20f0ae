package ingress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/piccolo-counter/piccolo"
)

// spool is a directory of batches that a process could not have stored before
// it had to stop. The next start publishes them under their old ids. One file
// a batch: its name is the id, its content the message.
type spool struct{ dir string }

const spoolSuffix = ".batch"

// put writes messages to the spool and returns when they are on disk.
func (s spool) put(messages []piccolo.Message) error {
	if len(messages) == 0 {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	for _, m := range messages {
		if err := s.write(m); err != nil {
			return fmt.Errorf("spool batch %s of %d increments: %w", m.ID, m.Increments, err)
		}
	}
	return syncDir(s.dir)
}

func (s spool) write(m piccolo.Message) (err error) {
	path := filepath.Join(s.dir, m.ID.String()+spoolSuffix)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(m.Data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path+".tmp"))
	}
	return os.Rename(path+".tmp", path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// list returns the ids of what the spool holds, in the order of their seqs.
func (s spool) list() (ids []piccolo.BatchID, err error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), spoolSuffix)
		if !ok {
			continue
		}
		id, err := piccolo.ParseBatchID(name)
		if err != nil {
			return nil, fmt.Errorf("spool %s: %w", s.dir, err)
		}
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b piccolo.BatchID) int {
		if c := strings.Compare(a.Producer, b.Producer); c != 0 {
			return c
		}
		return int(int64(a.Seq) - int64(b.Seq))
	})
	return ids, err
}

// publish has everything in the spool stored in the stream, and removes it.
func (s spool) publish(ctx context.Context, store func(context.Context, *piccolo.Message) bool) error {
	ids, err := s.list()
	if err != nil {
		return err
	}
	for _, id := range ids {
		path := filepath.Join(s.dir, id.String()+spoolSuffix)
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		var b piccolo.Batch
		if err := piccolo.DecodeBatch(data, &b); err != nil {
			return fmt.Errorf("spool %s: %w", path, err)
		}
		if b.BatchID != id {
			return fmt.Errorf("spool %s: it holds batch %s", path, b.BatchID)
		}
		if !store(ctx, &piccolo.Message{ID: id, Keys: len(b.Deltas), Increments: b.Increments, Data: data}) {
			return nil // stopped; what is left stays for the next start
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	return nil
}
