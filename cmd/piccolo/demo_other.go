//go:build !linux

package main

import "syscall"

// demoProcess keeps Ctrl-C from the service.
func demoProcess() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
