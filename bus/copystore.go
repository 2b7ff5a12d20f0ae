package bus

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// storeIndex is where the server leaves what it knows of a stream's blocks when it
// stops. With it, a start does not read them.
const storeIndex = "index.db"

// CopyStore copies the store of a server that does not run, into a directory that
// it makes. A server cuts off what it cannot read when it starts: what starts on
// the copy leaves the original as it is, and since the copy has no index, it reads
// every record and tells Damaged how many bytes it could not.
func CopyStore(ctx context.Context, to, from string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch target := filepath.Join(to, name); {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case entry.Name() == storeIndex || !entry.Type().IsRegular():
			return nil
		default:
			return copyFile(target, path)
		}
	})
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

// Damaged asks how many bytes of the stream the server could not read when it
// started, and cut off.
func (b *Bus) Damaged(ctx context.Context) (bytes uint64, err error) {
	if err := b.lookForDamage(ctx); err != nil {
		return 0, err
	}
	return b.damaged.Load(), nil
}
