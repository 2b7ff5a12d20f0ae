package sqlite

import (
	"fmt"
	"os"

	"github.com/piccolo-counter/piccolo"
)

// files are the database and its write-ahead log as they were opened. One that
// is deleted or replaced stays open: commits would go on into a file that
// nobody sees and that is gone with the process.
type files map[string]os.FileInfo

func openFiles(path string) (files, error) {
	f := make(files)
	for _, path := range []string{path, path + "-wal"} {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		f[path] = info
	}
	return f, nil
}

// check says which file is no longer the one that is open.
func (f files) check() error {
	for path, opened := range f {
		info, err := os.Stat(path)
		switch {
		case os.IsNotExist(err):
			return fmt.Errorf("%w: %s has been deleted or moved away: put it back, or a backup of it, and start again; what was not acked is still in the stream", piccolo.ErrReplaced, path)
		case err != nil:
			return fmt.Errorf("%w: %w", piccolo.ErrReplaced, err)
		case !os.SameFile(opened, info):
			return fmt.Errorf("%w: %s is another file than the one that was opened: start again to go on with that one", piccolo.ErrReplaced, path)
		}
	}
	return nil
}
