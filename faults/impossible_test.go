package faults_test

import (
	"os"
	"testing"
)

// everyFault says whether a fault that cannot be made is a failure.
// .ci/run has it so where it runs as root and has the tools.
func everyFault() bool { return os.Getenv("PICCOLO_EVERY_FAULT") != "" }

// impossible ends a test whose fault cannot be made here, with the reason.
func impossible(t testing.TB, format string, args ...any) {
	t.Helper()
	if everyFault() {
		t.Fatalf("PICCOLO_EVERY_FAULT is set: "+format, args...)
	}
	t.Skipf(format, args...)
}
