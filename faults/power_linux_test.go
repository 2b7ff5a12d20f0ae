package faults_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// The power is cut while the stream holds what the writer could not fold yet:
// everything that was acknowledged as stored is there afterwards. The control
// is the same with a stream that is not fsynced, which must lose something, or
// this would prove nothing.
//
// The service works on a file system in a file, of which a copy is taken while
// the process stands still. What was written and not synced is in memory only,
// and so not in the copy.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for _, sync := range []string{"always", "interval"} {
		t.Run("sync "+sync, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(t.TempDir(), "disk")
			makeDisk(t, image)
			before, after := t.TempDir(), t.TempDir()
			s := newService(t, "--sync="+sync)
			mountDisk(t, image, before)
			s.use(before)
			b := newBook()
			s.start()
			s.busy(b, 20) // of which everything is in the database
			unlock := s.lock()
			l := s.load(b, 4, "stored")
			l.await(s, counted, 200)

			sure, _, _ := b.totals()
			s.freeze()
			copyFile(t, image, image+".copy")
			s.kill()
			l.stop()
			b.crashed()
			unlock()

			mountDisk(t, image+".copy", after)
			s.use(after)
			s.start()
			s.stop()
			db := s.contents()
			if sync == "always" {
				b.check(t, db)
			} else if db.increments >= sure {
				t.Errorf("nothing was lost without fsync: of %d increments the database has %d", sure, db.increments)
			} else {
				t.Logf("without fsync %d of %d increments were lost", sure-db.increments, sure)
			}
		})
	}
}

// use has the next process work on a disk.
func (s *service) use(dir string) {
	s.data = filepath.Join(dir, "data")
	s.database = filepath.Join(s.data, "numbers.db")
}

// makeDisk makes a file with an empty file system.
func makeDisk(t *testing.T, image string) {
	t.Helper()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		t.Skipf("a file system cannot be made here: %v: %s", err, out)
	}
}

// mountDisk mounts a file. The file system is to write nothing by itself while
// the test runs.
func mountDisk(t *testing.T, image, dir string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "loop,commit=300", image, dir).CombinedOutput(); err != nil {
		t.Skipf("a file cannot be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
}
