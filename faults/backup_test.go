package faults_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// backup takes a backup with the command, while the service runs.
func (s *service) backup(path string) {
	s.t.Helper()
	if out, err := exec.Command(binary, "db", "backup", "--db", s.database, path).CombinedOutput(); err != nil {
		s.t.Fatalf("backup: %v\n%s", err, out)
	}
}

// restore puts a backup in the place of the database, as the documentation
// says. The service must not run.
func (s *service) restore(path string) {
	s.t.Helper()
	for _, old := range []string{s.database, s.database + "-wal", s.database + "-shm"} {
		if err := os.RemoveAll(old); err != nil {
			s.t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.database, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// The database is lost, and a backup that was taken under load takes its place:
// the batches that the stream retains bring it to where it was, exactly, the
// folded ones and those that were still to be folded.
func TestRestoredBackupCatchesUp(t *testing.T) {
	t.Parallel()
	s := newService(t, "--retain=24h", "--partitions=2")
	b := newBook()
	s.start()
	l := s.load(b, 6, "stored", "applied")
	l.await(s, counted, 200)
	path := filepath.Join(t.TempDir(), "yesterday.db")
	s.backup(path)
	l.await(s, counted, 200)
	s.kill()
	l.stop()
	b.crashed()
	before, behind := s.contents(), 0
	s.restore(path)
	f := measure(t, 9, "database replaced by a backup")
	if behind = before.increments - s.contents().increments; behind == 0 {
		t.Error("the backup is as new as the database was")
	}
	since := time.Now()
	s.start()
	f.Times++
	f.back(s, b, since)
	s.until("the database has what it had", func() bool { return s.contents().increments >= before.increments })
	b.check(t, s.contents())
	l = s.load(b, 4, "stored", "applied")
	l.await(s, counted, 100)
	l.stop()
	s.stop()
	db := s.contents()
	b.settled()
	f.check(b, db)
	t.Logf("%d of %d increments came from the stream again", behind, db.increments)
}

// Where the stream retains nothing, what a backup lacks is lost: the log says so,
// with a number, and it is counted.
func TestRestoredBackupWithoutRetain(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newBook()
	s.start()
	l := s.load(b, 4, "applied")
	l.await(s, counted, 50)
	path := filepath.Join(t.TempDir(), "yesterday.db")
	s.backup(path)
	l.await(s, counted, 50)
	l.stop()
	s.stop()
	before := s.contents()
	s.restore(path)
	s.start()
	if behind := before.increments - s.contents().increments; behind == 0 {
		t.Error("the backup is as new as the database was")
	}
	if !s.logged("batches are in neither the stream nor this database") {
		t.Error("the log does not say what is missing")
	}
	s.stop()
}

// The database is deleted under the running service, or another is put in its
// place: the process ends, loudly, and what it had not acked is folded by the
// next.
func TestDatabaseTakenAway(t *testing.T) {
	t.Parallel()
	s := newService(t, "--retain=24h")
	b := newBook()
	s.start()
	path := filepath.Join(t.TempDir(), "yesterday.db")
	s.backup(path)
	l := s.load(b, 4, "stored")
	l.await(s, counted, 100)
	if err := os.Rename(s.database, s.database+".gone"); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(); code != 1 {
		t.Errorf("the service exited with %d, want 1", code)
	}
	l.stop()
	b.crashed()
	if !s.logged("has been deleted or moved away") {
		t.Error("the log does not say what happened")
	}
	s.restore(path)
	f := measure(t, 9, "database deleted under the running service")
	since := time.Now()
	s.start()
	f.Times++
	f.back(s, b, since)
	l = s.load(b, 4, "stored")
	l.await(s, counted, 100)
	l.stop()
	s.stop()
	b.settled()
	f.check(b, s.contents())
}
