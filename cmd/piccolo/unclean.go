package main

import (
	"log/slog"
	"os"
	"path/filepath"
)

// markRunning leaves a mark in the data directory for as long as this process
// runs, and says whether the one before it left one: it was killed, or lost
// power. That is safe, and worth knowing.
func markRunning(dir string, log *slog.Logger) (unclean bool, done func()) {
	path := filepath.Join(dir, "running")
	_, err := os.Stat(path)
	unclean = err == nil
	if unclean {
		log.Warn("the process before this one did not stop by itself, going on from what is stored", "data", dir)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		log.Warn("an unclean stop will not be noticed", "error", err)
	}
	return unclean, func() { _ = os.Remove(path) }
}
