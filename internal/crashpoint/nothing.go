//go:build !crashpoints

// Package crashpoint names the moments at which the process may die, so that
// tests can have it die there. Without the build tag crashpoints it is nothing.
package crashpoint

// Here does nothing.
func Here(string) {}
