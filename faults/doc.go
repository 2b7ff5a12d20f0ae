// Package faults holds the end-to-end suite: the real binary, real faults,
// exact sums.
//
// Every test starts the service as a process of its own on a directory of its
// own, sends it increments, breaks something under way, and compares the
// database with what the clients saw. The clients' book is kept by the test,
// out of the fault's reach; see book_test.go for what is compared.
//
//	PICCOLO_KILLS=50 go test -v ./faults    more kills than the few of the default
//	PICCOLO_FIGURES=FILE go test ./faults   what came of it, for go run ./faults/matrix
//
// What needs root, a tmpfs or strace is skipped, with the reason, where it
// cannot be had; with PICCOLO_EVERY_FAULT=1 it fails there.
package faults
