package ingress

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
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
// a batch: its name is the id, its content the message and its checksum.
type spool struct{ dir string }

const spoolSuffix = ".batch"

// put writes messages to the spool and returns when they are on disk. One that
// cannot be written does not keep the others from it.
func (s spool) put(messages []piccolo.Message) error {
	if len(messages) == 0 {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("spool: %w: %d batches are lost, from %s on", err, len(messages), messages[0].ID)
	}
	var errs []error
	for _, m := range messages {
		if err := s.write(m); err != nil {
			errs = append(errs, fmt.Errorf("spool batch %s of %d increments: %w", m.ID, m.Increments, err))
		}
	}
	return errors.Join(append(errs, syncDir(s.dir), syncDir(filepath.Dir(s.dir)))...)
}

func (s spool) path(id piccolo.BatchID) string {
	return filepath.Join(s.dir, id.String()+spoolSuffix)
}

func (s spool) write(m piccolo.Message) (err error) {
	path := s.path(m.ID)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Concat(m.Data, checksum(m.Data)))
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path+".tmp"))
	}
	return os.Rename(path+".tmp", path)
}

// checksum is XXH64 in big endian. A message cut short may still look like one.
func checksum(data []byte) []byte {
	return binary.BigEndian.AppendUint64(nil, piccolo.Hash(data))
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
		id, unnamed := piccolo.ParseBatchID(name)
		if unnamed != nil {
			err = errors.Join(err, fmt.Errorf("spool %s: %w", s.dir, unnamed))
			continue
		}
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b piccolo.BatchID) int {
		return cmp.Or(strings.Compare(a.Producer, b.Producer), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Seq, b.Seq))
	})
	return ids, err
}

// read reads a batch back, and makes sure that it is the one it is named.
func (s spool) read(id piccolo.BatchID) (*piccolo.Message, error) {
	path := s.path(id)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	end := max(len(data)-8, 0)
	if !bytes.Equal(data[end:], checksum(data[:end])) {
		return nil, fmt.Errorf("spool %s: it is damaged: its checksum is wrong", path)
	}
	data = data[:end]
	var b piccolo.Batch
	if err := piccolo.DecodeBatch(data, &b); err != nil {
		return nil, fmt.Errorf("spool %s: %w", path, err)
	}
	if b.BatchID != id {
		return nil, fmt.Errorf("spool %s: it holds batch %s", path, b.BatchID)
	}
	return &piccolo.Message{ID: id, Keys: b.Keys(), Increments: b.Increments, Data: data}, nil
}

// Spooled is how many batches wait in the spool, -1 where it cannot be read.
func (in *Ingress) Spooled() int {
	ids, err := spool{in.Spool}.list()
	if err != nil {
		return -1
	}
	return len(ids)
}

// Spooled reads the batches that a spool directory holds. What cannot be read is
// in the error.
func Spooled(dir string) (messages []piccolo.Message, err error) {
	spool := spool{dir}
	ids, err := spool.list()
	for _, id := range ids {
		m, damaged := spool.read(id)
		if damaged != nil {
			err = errors.Join(err, damaged)
			continue
		}
		messages = append(messages, *m)
	}
	return messages, err
}

// publish has everything in the spool stored in the stream, and removes it.
// What cannot be read stays where it is, for a human, and is in the error.
func (s spool) publish(ctx context.Context, store func(context.Context, *piccolo.Message) bool) error {
	ids, err := s.list()
	for _, id := range ids {
		m, damaged := s.read(id)
		if damaged != nil {
			err = errors.Join(err, damaged)
			continue
		}
		if !store(ctx, m) {
			break // stopped; what is left stays for the next start
		}
		if stays := os.Remove(s.path(id)); stays != nil {
			err = errors.Join(err, fmt.Errorf("spool: %w", stays))
		}
	}
	return err
}
