package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Two files in the data directory tell of the process that works there: running
// is there as long as it runs, and stays when it is killed; ended has why it
// failed, until the next one starts.
const (
	runningFile = "running"
	endedFile   = "ended"
)

// markRunning leaves a mark in the data directory for as long as this process
// runs, and says whether the one before it left one: it was killed, or lost
// power. That is safe, and worth knowing. Of a process that fails, the reason
// stays.
func markRunning(dir string, log *slog.Logger) (unclean bool, done func(error)) {
	path, ended := filepath.Join(dir, runningFile), filepath.Join(dir, endedFile)
	_, err := os.Stat(path)
	unclean = err == nil
	if unclean {
		log.Warn("the process before this one did not stop by itself, going on from what is stored", "data", dir)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		log.Warn("an unclean stop will not be noticed", "error", err)
	}
	_ = os.Remove(ended)
	return unclean, func(err error) {
		_ = os.Remove(path)
		if err != nil {
			_ = os.WriteFile(ended, []byte(failure(err)+"\n"), 0o644) // the log has it, too
		}
	}
}

// lastOf says of the process that worked in a data directory how it ended, and
// the number of that which runs there, empty for none. ended is empty where one
// runs, none has, or the last one stopped as it was told to. Where the directory
// may not be looked at, nothing is known of any.
func lastOf(dir string) (ended, running string, err error) {
	path := filepath.Join(dir, endedFile)
	said, err := os.ReadFile(path)
	if err == nil {
		ago := ""
		if info, err := os.Stat(path); err == nil {
			ago = " " + ageText(time.Since(info.ModTime()).Round(time.Second)) + " ago"
		}
		return "the last one with " + dir + " ended" + ago + ": " + strings.TrimSpace(string(said)), "", nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	if _, err := os.Stat(filepath.Join(dir, runningFile)); errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	} else if err != nil {
		return "", "", err
	}
	if running, err = holder(filepath.Join(dir, lockName)); running == "" && err == nil {
		ended = "the last one with " + dir + " was killed or lost power"
	}
	return ended, running, err
}
