//go:build race

package faults_test

// Under go test -race the service is built with the race detector too.
func init() { buildFlags = append(buildFlags, "-race") }
