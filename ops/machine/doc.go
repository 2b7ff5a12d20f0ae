// Package machine tests the Debian package on a real systemd, in a machine
// whose power is cut.
//
//	.ci/run machine   in a container of systemd-nspawn
//	.ci/run vm        in a virtual machine
//
// make the package and the machine's disk, and run the tests with them.
package machine
