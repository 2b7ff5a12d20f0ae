package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// calls says which calls fail, one a run: those of PICCOLO_CALLS=FIRST-LAST, or a
// few.
func calls(t *testing.T) (nths []int) {
	text, ok := os.LookupEnv("PICCOLO_CALLS")
	if !ok {
		return []int{1, 2, 4, 9}
	}
	first, last := 0, 0
	if _, err := fmt.Sscanf(text, "%d-%d", &first, &last); err != nil || first < 1 || last < first {
		t.Fatalf("PICCOLO_CALLS=%s: want FIRST-LAST, such as 1-40", text)
	}
	for nth := first; nth <= last; nth++ {
		nths = append(nths, nth)
	}
	return nths
}

// The nth write or fsync fails, of the stream's file, of its consumer's, or of the
// database's: the process ends with an error or goes on, and either way what was acknowledged
// counts, once.
func TestCallFails(t *testing.T) {
	t.Parallel()
	files := map[string]func(*service) []string{
		"stream": func(s *service) []string {
			return []string{filepath.Join(s.jetstream(), "jetstream/$G/streams/PICCOLO/msgs/1.blk")}
		},
		"consumer": func(s *service) []string { // what it has delivered and what was acked
			dir := filepath.Join(s.jetstream(), "jetstream/$G/streams/PICCOLO/obs/writer-0")
			return []string{dir, filepath.Join(dir, "o.dat.tmp")}
		},
		"database": func(s *service) []string { return []string{s.database, s.database + "-wal"} },
	}
	strace(t) // or none of it can be made
	nths := calls(t)
	var ended, wentOn, unharmed atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d processes ended at the failure, %d went on, %d made no such call", ended.Load(), wentOn.Load(), unharmed.Load())
	})
	for file, paths := range files {
		for _, c := range []struct{ call, error string }{{"write", "EIO"}, {"write", "ENOSPC"}, {"fsync", "EIO"}} {
			var injected atomic.Int64
			var first atomic.Bool // was made to fail: PICCOLO_CALLS and -run may leave it out
			t.Cleanup(func() {
				// Every run makes the first of these calls.
				if first.Load() && injected.Load() == 0 && !t.Skipped() {
					t.Errorf("no %s of the %s's file failed with %s: the test proves nothing", c.call, file, c.error)
				}
			})
			for _, nth := range nths {
				t.Run(fmt.Sprintf("%s, %s %d, %s", file, c.call, nth, c.error), func(t *testing.T) {
					t.Parallel()
					if nth == 1 {
						first.Store(true)
					}
					s := newService(t, "--ack-timeout=500ms", "--stop-timeout=5s", "--retain=1h")
					set := map[string]string{"write": "write,pwrite64", "fsync": "fsync,fdatasync"}[c.call]
					args := []string{"-e", "trace=" + set, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", set, c.error, nth)}
					for _, path := range paths(s) {
						args = append(args, "-P", path)
					}
					made := filepath.Join(t.TempDir(), "calls")
					s.wrap = strace(t, append(args, "-o", made)...)
					b := newBook()
					l := s.loadKeys(b, 6, manyKeys(100), "stored", "applied")
					s.launch()
					s.until("it has ended, or goes on", func() bool {
						return s.now.gone() || l.replied[counted].Load() > 100
					})
					ending := s.now.gone()
					if !ending {
						// To strace, which passes it on to nobody: the service is its child.
						s.signalChild(syscall.SIGTERM)
						select {
						case <-s.now.exited:
						case <-time.After(timeout / 2):
							s.kill()
						}
					}
					text, err := os.ReadFile(made)
					s.must(err)
					failed := strings.Contains(string(text), "(INJECTED)")
					which := fmt.Sprintf("%s of the %s's file fails, %s", c.call, file, c.error)
					if !failed {
						which = "the run does not make as many calls"
					} else {
						injected.Add(1)
					}
					if code := s.now.cmd.ProcessState.ExitCode(); ending && (code != 1 || !failed) {
						t.Errorf("the process ended with exit code %d, want 1 and a call that failed: %v", code, failed)
					}
					f := measure(t, 8, which, "PICCOLO_CALLS")
					f.Times++
					switch {
					case !failed:
						unharmed.Add(1)
					case ending:
						ended.Add(1)
					default:
						wentOn.Add(1)
					}
					b.crashed()
					s.wrap = nil
					since := time.Now()
					s.start()
					f.back(s, b, since)
					l.await(s, counted, 30)
					l.stop()
					s.stop()
					b.crashed()
					f.check(b, s.contents())
				})
			}
		}
	}
}

// signalChild sends a signal to the service that runs under another program.
func (s *service) signalChild(sig syscall.Signal) {
	s.t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.now.cmd.Process.Pid))
	if err != nil {
		return // it has just ended
	}
	for text := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(text); err == nil {
			_ = syscall.Kill(pid, sig)
		}
	}
}
