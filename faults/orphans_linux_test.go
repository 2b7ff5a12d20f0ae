package faults_test

import "syscall"

// ownGroup puts a process into a group of its own, so that it is killed with
// whatever it started; and has it killed with the tests, should they be.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
