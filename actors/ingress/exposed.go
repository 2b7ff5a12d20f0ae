package ingress

import (
	"log/slog"
	"os"
)

// warnExposed warns of a file with secrets that every user of the machine may
// read or change. It may be what somebody wants, in a container for one.
func warnExposed(log *slog.Logger, path string) {
	info, err := os.Stat(path)
	if err != nil {
		return // it has just been read, and who replaces it has it read again
	}
	if info.Mode().Perm()&0o006 != 0 {
		log.Warn("every user of this machine can read or change a file that should be secret: chmod o= FILE",
			"file", path, "mode", info.Mode().Perm().String())
	}
}
