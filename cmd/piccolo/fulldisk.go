package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// leastRoom is what a stream's disk must have left for its server to answer.
const leastRoom = 16 << 20

// fullDisk says whether the disk of one of the directories is full: of those that
// the embedded server and the spool write to. The server then gives no answer, and
// a restart makes no room.
func fullDisk(dirs ...string) error {
	for _, dir := range dirs {
		var fs unix.Statfs_t
		if unix.Statfs(dir, &fs) != nil {
			continue // no reason to think that it is full
		}
		if left := fs.Bavail * uint64(fs.Bsize); left < leastRoom {
			return fmt.Errorf("the disk of %s has %d bytes left: make room there", dir, left)
		}
	}
	return nil
}
