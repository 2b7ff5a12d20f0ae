package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refusesToStart checks that the service ends by itself and says why.
func (s *service) refusesToStart(reasons ...string) {
	s.t.Helper()
	p := s.launch()
	if code := s.wait(); code != 1 {
		s.t.Errorf("exit code %d (%v), want 1", code, p.err)
	}
	for _, reason := range reasons {
		if !strings.Contains(p.log.String(), reason) {
			s.t.Errorf("the log does not say %q:\n%s", reason, p.log.String())
		}
	}
}

// A database that cannot be used is not touched: the service says why, and once
// it can be used goes on with what it was and what the stream has.
func TestDatabaseOutOfUse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil   func(s *service) (mend func())
		reasons []string
	}{
		"locked by another": {(*service).lock, []string{"locked", "fuser or lsof"}},
		"of a newer version": {
			func(s *service) func() {
				s.query("PRAGMA user_version = 999")
				return func() { s.query("PRAGMA user_version = 1") }
			}, []string{"run a newer piccolo"},
		},
		"of another program": {
			func(s *service) func() {
				s.query("PRAGMA application_id = 1")
				return func() { s.query("PRAGMA application_id = 0x50494343") }
			}, []string{"another program's database"},
		},
		"no database at all": {
			func(s *service) func() {
				aside := s.database + ".aside"
				s.must(os.Rename(s.database, aside))
				s.must(os.WriteFile(s.database, []byte(strings.Repeat("something else\n", 1000)), 0o600))
				return func() { s.must(os.Rename(aside, s.database)) }
			}, []string{"not a database", "backup"},
		},
		"read-only": {
			func(s *service) func() {
				dir := filepath.Dir(s.database)
				if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
					impossible(s.t, "nothing can be mounted here: %v", err)
				}
				s.must(syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
				return func() { s.must(syscall.Unmount(dir, syscall.MNT_DETACH)) }
			}, []string{"read-only"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, "--stop-timeout=5s")
			s.database = filepath.Join(t.TempDir(), "numbers.db")
			b := newBook()
			f := measure(t, 9, "database "+name)
			s.start()
			s.busy(b, 30)
			s.stop()
			mend := c.spoil(s)
			s.refusesToStart(c.reasons...)
			mend()
			f.Times++
			since := time.Now()
			s.start()
			f.back(s, b, since)
			s.busy(b, 30)
			s.quiet()
			s.undisturbed()
			s.stop()
			f.check(b, s.contents())
		})
	}
}

// Pages of the database are overwritten while the service is away: it ends with
// an error as soon as it comes upon one, and acks nothing that is not committed;
// with the last good copy in place it folds again what that does not have.
func TestDatabaseCorrupted(t *testing.T) {
	t.Parallel()
	s := newService(t, "--retain=1h", "--stop-timeout=5s", "--ack-timeout=1s")
	b := newBook()
	s.start()
	s.busy(b, 100)
	s.stop()
	good, err := os.ReadFile(s.database)
	s.must(err)
	s.start()
	s.busy(b, 100)
	s.stop()

	text, err := os.ReadFile(s.database)
	s.must(err)
	const page = 1 << 10
	for at := page; at < len(text); at += page {
		copy(text[at:], strings.Repeat("\xff", 64))
	}
	s.must(os.WriteFile(s.database, text, 0o600))
	l := s.load(b, 4, "stored", "applied")
	p := s.launch()
	if code := s.wait(); code != 1 || !strings.Contains(p.log.String(), "restore it from a backup") {
		t.Errorf("exit code %d (%v), want 1 and what to do:\n%s", code, p.err, p.log.String())
	}
	b.crashed()

	s.must(os.WriteFile(s.database, good, 0o600))
	for _, file := range []string{"-wal", "-shm"} {
		if err := os.Remove(s.database + file); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	f := measure(t, 9, "database's pages overwritten")
	f.Times++
	since := time.Now()
	s.start()
	f.back(s, b, since)
	l.await(s, counted, 50)
	l.stop()
	s.stop()
	b.crashed()
	f.check(b, s.contents())
}

// query has another program change the database.
func (s *service) query(q string) {
	s.t.Helper()
	db := openDatabase(s.t, s.database, "")
	defer db.Close()
	if _, err := db.Exec(q); err != nil {
		s.t.Fatalf("%s: %v", q, err)
	}
}

func (s *service) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
