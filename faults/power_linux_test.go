package faults_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
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
	for _, mode := range []string{"always", "interval"} {
		t.Run("sync "+mode, func(t *testing.T) {
			t.Parallel()
			d := newVolume(t)
			s := newService(t, "--sync="+mode)
			s.use(d.before)
			b := newBook()
			f := measure(t, 2, cut("stream and database, of all in one", mode == "always"))
			f.MustLose = mode != "always"
			s.start()
			s.busy(b, 20) // of which everything is in the database
			unlock := s.lock()
			l := s.loadKeys(b, 4, oneTime(), "stored")
			l.await(s, counted, 200)

			d.cut(s)
			l.stop()
			b.crashed()
			unlock()

			s.use(d.after)
			since := time.Now()
			s.start()
			f.Times++
			if mode == "always" {
				f.back(s, b, since)
				s.stop()
				b.settled()
				f.check(b, s.contents())
				return
			}
			s.stop()
			f.control(b, s.contents())
		})
	}
}

// cut names a power cut in the figures.
func cut(of string, synced bool) string {
	if synced {
		return "power cut under " + of
	}
	return "the control: power cut under " + of + ", without fsync"
}

// control settles what must have lost something.
func (f *figures) control(b *book, db *contents) {
	f.t.Helper()
	f.settle(b, db)
	if f.Lost == 0 {
		f.t.Errorf("nothing was lost without fsync of %d increments: the test proves nothing", f.Acknowledged)
	}
}

// The power of the stream's disk alone is cut, with batches that are not folded:
// the NATS server has a machine of its own, the ingress goes on. Again the
// control, with the server's own way to sync, must lose something.
func TestPowerCutOfStream(t *testing.T) {
	t.Parallel()
	for _, synced := range []bool{true, false} {
		t.Run(fmt.Sprintf("synced %v", synced), func(t *testing.T) {
			t.Parallel()
			d := newVolume(t)
			p := &parts{nats: newServer(t)}
			p.nats.use(d.before)
			p.nats.configure(synced)
			p.join([]string{"--partitions=2", "--stream-max-bytes=16MiB"}, "--ack-timeout=300ms")
			p.writer.start()
			p.ingress.start()
			b := newBook()
			f := measure(t, 2, cut("the stream alone", synced))
			f.MustLose = !synced
			l := p.ingress.loadKeys(b, 4, oneTime(), "stored")
			l.await(p.ingress, counted, 100)
			p.writer.kill() // or it would have what the stream loses
			l.await(p.ingress, counted, 200)

			d.cut(p.nats)
			if !synced { // what it has in memory must not make up for it
				p.ingress.kill()
				l.stop()
				b.crashed()
			}

			p.nats.use(d.after)
			p.nats.configure(synced)
			since := time.Now()
			p.nats.start()
			if !synced {
				p.init("--partitions=2", "--stream-max-bytes=16MiB") // the stream itself may be gone
			}
			p.writer.start()
			f.Times++
			if !synced {
				p.ingress.start()
				p.quiet()
				f.control(b, p.writer.contents())
				return
			}
			f.back(p.ingress, b, since)
			l.await(p.ingress, counted, 50)
			l.stop()
			p.quiet()
			b.settled()
			p.finish(b)
			f.settle(b, p.writer.contents())
		})
	}
}

// buildUnsynced builds the service with a database that is not synced.
var buildUnsynced = sync.OnceValues(func() (string, error) {
	const file, full = "../sqlite/sqlite.go", "synchronous(full)"
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), full) != 1 {
		return "", fmt.Errorf("%s does not say %s once", file, full)
	}
	return buildAltered("unsynced", map[string]string{file: strings.Replace(string(text), full, "synchronous(off)", 1)})
})

// The power of the database's disk alone is cut, after the stream has been rid
// of what was committed: the writer has a machine of its own, the ingress and
// the NATS server go on. The control is a writer that does not sync.
func TestPowerCutOfDatabase(t *testing.T) {
	t.Parallel()
	for _, synced := range []bool{true, false} {
		t.Run(fmt.Sprintf("synced %v", synced), func(t *testing.T) {
			t.Parallel()
			d := newVolume(t)
			p := newParts(t, 2, "--ack-timeout=300ms")
			p.writer.use(d.before)
			p.writer.start()
			p.ingress.start()
			b := newBook()
			if !synced { // but for the file itself
				path, err := buildUnsynced()
				if err != nil {
					t.Fatal(err)
				}
				p.writer.stop()
				p.writer.binary = path
				p.writer.start()
			}
			f := measure(t, 2, cut("the database alone", synced))
			f.MustLose = !synced
			l := p.ingress.loadKeys(b, 4, oneTime(), "stored", "applied")
			l.await(p.ingress, counted, 200)
			_, js := p.nats.connect()
			p.writer.until("it is trimmed", func() bool {
				stream, err := js.Stream(t.Context(), "PICCOLO")
				return err == nil && stream.CachedInfo().State.FirstSeq > 20
			})

			d.cut(p.writer)
			p.writer.use(d.after)
			since := time.Now()
			p.writer.start()
			f.Times++
			f.back(p.ingress, b, since)
			l.await(p.ingress, counted, 50)
			l.stop()
			p.quiet()
			b.settled()
			if !synced {
				f.control(b, p.writer.contents())
				return
			}
			p.finish(b)
			f.settle(b, p.writer.contents())
		})
	}
}

// use has the next process work on a disk.
func (s *service) use(dir string) {
	s.data = filepath.Join(dir, "data")
	s.database = filepath.Join(s.data, "numbers.db")
}

// volume is a file with a file system, and the directories that show what is on it
// before the power is cut and after that.
type volume struct {
	t             *testing.T
	image         string
	before, after string
}

// newVolume makes one with nothing on it.
func newVolume(t *testing.T) *volume {
	t.Helper()
	d := &volume{t: t, image: filepath.Join(t.TempDir(), "disk"), before: t.TempDir(), after: t.TempDir()}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		impossible(t, "a file system cannot be made here: %v: %s", err, out)
	}
	mountDisk(t, d.image, d.before)
	return d
}

// cut cuts the power of the disk, and of the service on it.
func (d *volume) cut(s *service) {
	d.t.Helper()
	s.freeze()
	copied := d.image + ".copy"
	copyFile(d.t, d.image, copied)
	s.kill()
	mountDisk(d.t, copied, d.after)
}

// mountDisk mounts a file. The file system is to write nothing by itself while
// the test runs.
func mountDisk(t *testing.T, image, dir string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "loop,commit=300", image, dir).CombinedOutput(); err != nil {
		impossible(t, "a file cannot be mounted here: %v: %s", err, out)
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
