//go:build !linux

package faults_test

import "syscall"

// ownGroup puts a process into a group of its own, so that it is killed with
// whatever it started.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
