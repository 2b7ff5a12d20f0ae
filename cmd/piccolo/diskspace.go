package main

import "golang.org/x/sys/unix"

// diskSpace returns what may be written to a directory's file system, and its
// size, in bytes; -1 where that is unknown.
func diskSpace(dir string) (free, size float64) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return -1, -1
	}
	return float64(stat.Bavail) * float64(stat.Bsize), float64(stat.Blocks) * float64(stat.Bsize)
}

// scarcest is the directory on whose file system least is free, as diskSpace has
// it; of one where that is unknown only where it is of all.
func scarcest(dirs ...string) (dir string, free, size float64) {
	free, size = -1, -1
	for _, d := range dirs {
		if f, s := diskSpace(d); f >= 0 && (free < 0 || f < free) || dir == "" {
			dir, free, size = d, f, s
		}
	}
	return dir, free, size
}
