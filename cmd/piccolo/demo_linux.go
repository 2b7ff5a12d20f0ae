package main

import "syscall"

// demoProcess keeps Ctrl-C from the service, and has it end when the demo is
// killed.
func demoProcess() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
