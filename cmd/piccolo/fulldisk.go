package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// leastRoom is what a stream's disk must have left for its server to answer.
const leastRoom = 16 << 20

// fullDisk says whether the disk of the data directory is full. The embedded
// server then gives no answer, and a restart makes no room.
func fullDisk(dir string) error {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return nil // no reason to think that it is full
	}
	if left := fs.Bavail * uint64(fs.Bsize); left < leastRoom {
		return fmt.Errorf("the disk of %s has %d bytes left", dir, left)
	}
	return nil
}
