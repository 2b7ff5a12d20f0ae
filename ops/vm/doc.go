// Package vm tests the Debian package on a real systemd, in a virtual machine
// whose power can be cut.
//
//	.ci/run vm
//
// makes the package and the machine's disk, and runs the test with them.
package vm
