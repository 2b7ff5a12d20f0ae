package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/piccolo-counter/piccolo/actors/admin"
)

// How a process is, is found out here, and told in the same words by /readyz,
// piccolo ready, systemctl status, the page, piccolo top and piccolo doctor.

// fixes are what to do about a finding, by its name.
var fixes = map[string]string{
	"ingress":  "piccolo backlog says whether a writer runs and keeps up; more room: piccolo stream init --stream-max-bytes, or --stream-max-bytes of the all-in-one",
	"spool":    "a disk that damaged those files is the usual cause: what they held is not counted; move them out of the spool, and keep them if it must be found out what that was",
	"writer":   "its log says why; where the database is locked or its disk is full, it goes on by itself once it is not",
	"nats":     "start the server there, see its log and its disk; the processes connect again by themselves",
	"database": "put the file back, or a backup of it, and start the writer again",
	"backlog":  "piccolo backlog says when it will be empty; a slow disk under the database is the usual cause. Nothing is lost",
	"stream":   "piccolo backlog says whether a writer runs and keeps up; more room: piccolo stream init --stream-max-bytes, or --stream-max-bytes of the all-in-one",
	"lost":     "piccolo verify says whose they are, unless they were trimmed since a backup that was restored. Keep database and stream as they are; the log has since when. Is the stream's disk sound, and its server's sync always?",
	"disk":     "free some: when it is full, increments wait in memory, or are refused, until there is room",
	"files":    "ulimit -Hn 65536, or LimitNOFILE=65536 in the unit",
	"sync":     "start all-in-one with --sync always; of a NATS server of its own, set sync_interval: always in the jetstream block of its configuration",
	"start":    "its log, or journalctl -u piccolo, says why: out of memory, a watchdog, a power cut",
}

// checks are all of this process's: those of its own parts, which are wrong
// where it cannot do its work, and those that warn.
func (s *service) checks(parts ...admin.Check) []admin.Check {
	warn := func(name string, find func() error) {
		parts = append(parts, admin.Check{Name: name, Err: func(context.Context) error { return find() }, Warns: true})
	}
	if s.writer != nil {
		parts = append(parts, admin.Check{Name: "database", Err: s.store.Check})
		warn("backlog", s.backlogFinding)
		warn("stream", s.streamFinding)
		warn("lost", func() error { now, _ := s.deployment.Now(); return lostFinding(now.Conservation.LostBatches) })
	}
	warn("disk", func() error { return diskFinding(s.dirs()...) })
	warn("files", func() error { _, err := filesFinding(); return err })
	if s.sync != "" {
		warn("sync", func() error { return syncFinding(s.sync) })
	}
	warn("start", s.startFinding)
	return parts
}

// dirs are those that the process writes to.
func (s *service) dirs() []string {
	if s.store == nil {
		return []string{s.dir}
	}
	return []string{s.dir, filepath.Dir(s.store.Path())}
}

// told is for how long an unclean start is told of.
const told = 15 * time.Minute

func (s *service) startFinding() error {
	if ago := time.Since(s.started); s.unclean && ago < told {
		return errors.New("the process before this one was killed or lost power: what was stored is there, what it acknowledged with memory may be gone")
	}
	return nil
}

func (s *service) backlogFinding() error {
	last := s.last.Load()
	switch {
	case last == nil: // it has just started
		return nil
	case last.Writer.Backlog == nil:
		return errors.New("unknown: the stream does not answer")
	}
	return backlogFinding(last.Writer.Backlog.Batches)
}

func (s *service) streamFinding() error {
	if last := s.last.Load(); last != nil && last.Writer.Backlog != nil {
		return streamFinding(last.Writer.Backlog.Bytes, last.Writer.Backlog.MaxBytes)
	}
	return nil
}

// backlogFinding finds more batches than a writer that keeps up leaves.
func backlogFinding(batches uint64) error {
	if batches > 100 {
		return fmt.Errorf("%s are stored and not committed", plural(batches, "batch", "batches"))
	}
	return nil
}

func streamFinding(bytes uint64, most int64) error {
	if most > 0 && float64(bytes) > .8*float64(most) {
		return fmt.Errorf("it holds %s of %s: when it is full, increments are refused", bytesText(bytes), bytesText(most))
	}
	return nil
}

// lostFinding finds batches that were acknowledged and are nowhere.
func lostFinding(batches uint64) error {
	if batches > 0 {
		return fmt.Errorf("%s neither in the ledger nor in the stream", plural(batches, "batch is", "batches are"))
	}
	return nil
}

// leastFree is what a disk should have left: the stream may take 1 GiB by
// default, and the database grows. PiccoloDiskLow has the same.
const leastFree = 2 << 30

// diskFinding finds a disk under one of the directories that is nearly full.
func diskFinding(dirs ...string) error {
	if dir, free, size := scarcest(dirs...); free >= 0 && free < leastFree {
		return fmt.Errorf("%s of %s are free under %s", bytesText(uint64(free)), bytesText(uint64(size)), dir)
	}
	return nil
}

// filesFinding looks at how many files, which are connections, this process may
// have open. Go has raised the limit as far as it may.
func filesFinding() (may uint64, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, nil // no reason to think that it is low
	}
	if limit.Cur < 8192 {
		err = fmt.Errorf("a process may have %s open, and each client's connection is one", plural(limit.Cur, "file", "files"))
	}
	return limit.Cur, err
}

func syncFinding(mode string) error {
	if mode == "interval" {
		return errors.New("the stream is fsynced now and then: a power cut loses increments that were acknowledged")
	}
	return nil
}

// askHealth asks the process behind an admin listener how it is.
func askHealth(ctx context.Context, addr string) (admin.Health, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz?verbose", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	h := admin.ParseHealth(string(said))
	if len(h) == 0 {
		return nil, fmt.Errorf("what answers at %s says %s, and is no piccolo's admin listener", addr, res.Status)
	}
	return h, nil
}
