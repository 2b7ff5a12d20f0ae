package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// disk is a small disk of its own under a directory.
type disk struct {
	t   *testing.T
	dir string
}

func mount(t *testing.T, dir, size string) disk {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		impossible(t, "a tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return disk{t, dir}
}

// grow makes room.
func (d disk) grow(size string) {
	d.t.Helper()
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
		d.t.Fatalf("make room on %s: %v", d.dir, err)
	}
}

// bulky is one of many keys that are as long as keys may be.
func bulky() string { return fmt.Sprintf("%s-%d", strings.Repeat("k", 500), rand.IntN(2000)) }

// The disk under the stream, or under everything, is full: the process says so,
// and goes on in memory. Once there is room it ends, since a server whose disk was
// full has to be started again, and the next one has all that was counted, in
// memory too.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for name, under := range map[string]func(*service) string{
		"stream":     (*service).jetstream,
		"everything": func(s *service) string { return s.data },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, "--retain=1h", "--ack-timeout=1s", "--stop-timeout=5s")
			b := newBook()
			d := mount(t, under(s), "1m")
			s.start()
			l := s.loadKeys(b, 6, bulky, "stored", "applied", "memory")
			s.until("it says that the disk is full", func() bool {
				return s.logged("no space left on device") && s.logged("waits in memory until that is put right")
			})
			l.await(s, counted, 100)
			l.stop()
			f := measure(t, 7, "disk full under "+map[string]string{"stream": "the stream", "everything": "stream and database"}[name])
			f.Times++
			d.grow("100m")
			since := time.Now()
			if code := s.wait(); code != 1 {
				t.Errorf("exit code %d (%v), want 1", code, s.now.err)
			}
			s.start()
			f.back(s, b, since)
			more := s.load(b, 4, "stored", "applied")
			more.await(s, counted, 50)
			more.stop()
			s.stop()
			b.settled()
			f.check(b, s.contents())
		})
	}
}

// The disk under the database is full: the stream keeps what comes, and once
// there is room the service goes on by itself.
func TestDiskFullUnderDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newService(t, "--ack-timeout=1s")
	s.database = filepath.Join(dir, "numbers.db")
	b := newBook()
	d := mount(t, dir, "2m")
	s.start()
	l := s.loadKeys(b, 6, bulky, "stored")
	s.until("the disk is full", func() bool { return s.logged("no room on the disk") })
	l.await(s, counted, 100)
	f := measure(t, 7, "disk full under the database")
	f.Times++
	d.grow("100m")
	f.back(s, b, time.Now())
	l.await(s, counted, 100)
	l.stop()
	s.quietIn(b)
	s.quiet()
	s.undisturbed()
	s.stop()
	f.check(b, s.contents())
}

// The disk under the spool is full when an ingress has to stop without its NATS
// server: it says what it could not keep and ends with an error. What it kept is
// stored by the next start, and no 200 was given for the rest.
func TestDiskFullUnderSpool(t *testing.T) {
	t.Parallel()
	server := newService(t)
	server.start()
	ingress := newIngress(t, server.nats, "--ack-timeout=300ms", "--stop-timeout=4s")
	d := mount(t, ingress.spool(), "64k")
	ingress.start()
	b := newBook()
	l := ingress.loadKeys(b, 4, bulky, "stored", "memory")
	l.await(ingress, counted, 50)
	server.kill()
	l.await(ingress, counted, 400)
	ingress.signal(syscall.SIGTERM)
	if code := ingress.wait(); code != 1 {
		t.Errorf("exit code %d (%v) with batches that are neither stored nor in the spool, want 1", code, ingress.now.err)
	}
	if !ingress.logged("no space left on device") {
		t.Error("the log does not say that the disk is full")
	}
	l.stop()
	b.crashed()
	d.grow("100m")
	f := measure(t, 7, "disk full under the spool")
	f.Times++
	since := time.Now()
	server.start()
	ingress.start()
	f.back(ingress, b, since)
	more := ingress.load(b, 4, "stored")
	more.await(ingress, counted, 50)
	more.stop()
	ingress.until("the spool is empty", func() bool { return len(ingress.spooled()) == 0 })
	ingress.stop()
	server.quiet()
	server.stop()
	db := server.contents()
	db.gaps = nil // of what could not be kept
	b.settled()
	f.check(b, db)
}
