package faults_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// An fsync fails, of the stream's file or of the database's log: the process
// ends, since what is on disk is unknown then, and the next one has all that
// was acknowledged.
func TestFsyncFails(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]func(*service) string{
		"stream": func(s *service) string {
			return filepath.Join(s.jetstream(), "jetstream/$G/streams/PICCOLO/msgs/1.blk")
		},
		"database": func(s *service) string { return s.database + "-wal" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// With what is committed retained, the stream stays in the one file.
			s := newService(t, "--ack-timeout=1s", "--stop-timeout=5s", "--retain=1h")
			s.wrap = strace(t, "-P", file(s), "-e", "inject=fsync,fdatasync:error=EIO:when=5") // of each thread
			b := newBook()
			l := s.load(b, 6, "stored", "applied")
			s.launch()
			if code := s.wait(); code != 1 {
				t.Errorf("exit code %d (%v), want 1", code, s.now.err)
			}
			b.crashed()
			f := measure(t, 8, "every fsync of the "+name+"'s file from the fifth on fails, EIO")
			f.Times++
			s.wrap = nil
			since := time.Now()
			s.start()
			f.back(s, b, since)
			l.await(s, counted, 50)
			l.stop()
			s.undisturbed()
			s.stop()
			b.crashed()
			f.check(b, s.contents())
		})
	}
}

// strace returns the command that runs another one with faults in its system
// calls.
func strace(t *testing.T, args ...string) []string {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		impossible(t, "there is no strace")
	}
	command := append([]string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"}, args...)
	if out, err := exec.Command(command[0], append(command[1:], "true")...).CombinedOutput(); err != nil {
		impossible(t, "strace cannot be used here: %v: %s", err, out)
	}
	return command
}
