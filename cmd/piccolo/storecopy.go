package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/piccolo-counter/piccolo/bus"
)

// copyStore copies the stream's files to where temporary files are, until remove
// is called. They are evidence: a server that reads them cuts off what it cannot
// read, and who starts next finds nothing wrong.
func copyStore(ctx context.Context, store string) (dir string, remove func(), err error) {
	size, err := sizeOf(store)
	if err != nil {
		return "", nil, err
	}
	tmp := os.TempDir()
	if free, _ := diskSpace(tmp); free >= 0 && free < float64(size) {
		return "", nil, fmt.Errorf("the stream's files are read from a copy, so that they stay as they are: it takes %s, and %s are free under %s: set TMPDIR to a directory with room",
			bytesText(uint64(size)), bytesText(uint64(free)), tmp)
	}
	dir, err = os.MkdirTemp(tmp, "piccolo-verify-")
	if err != nil {
		return "", nil, err
	}
	if err := bus.CopyStore(ctx, dir, store); err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, fmt.Errorf("copy of the stream's files, to read them: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// sizeOf sums up the sizes of the files in a directory.
func sizeOf(dir string) (size int64, err error) {
	return size, filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
}
