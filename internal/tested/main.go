// Command tested prints what go test -json says about as go test without it would,
// and in the end which tests were skipped, and why: go test itself tells only
// with -v, among everything else. Last comes how each failure began, which may be
// a long way up, above all that a test logged.
//
//	go test -json ./... | go run ./internal/tested
//
// Whether tests failed is for the exit code of go test to say.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if err := show(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tested:", err)
		os.Exit(1)
	}
}

// event is a line of go test -json, see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string // "" where it is about the package
	Output  string
}

// test names one.
type test struct{ pkg, name string }

// show reads the events of any number of packages, and prints a test's output
// where it fails.
func show(in io.Reader, out io.Writer) error {
	said := make(map[test][]string) // by tests that have not ended
	var skipped, failed []string
	events := json.NewDecoder(in)
	for {
		var e event
		err := events.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("this is not what go test -json writes: %w", err)
		}
		of := test{e.Package, e.Test}
		switch {
		case e.Action == "output" && of.name != "":
			if !strings.HasPrefix(e.Output, "=== ") { // that it runs, or goes on
				said[of] = append(said[of], e.Output)
			}
		case e.Action == "output" || e.Action == "build-output":
			if e.Output != "PASS\n" {
				fmt.Fprint(out, e.Output)
			}
		case e.Action == "fail" && of.name == "":
			// A process that died leaves tests behind that never ended.
			for of := range said {
				if of.pkg == e.Package {
					fmt.Fprint(out, strings.Join(said[of], ""))
					delete(said, of)
				}
			}
		case e.Action == "fail":
			fmt.Fprint(out, strings.Join(said[of], ""))
			failed = append(failed, fmt.Sprintf("%s %s\n%s", of.pkg, of.name, beginning(said[of])))
			delete(said, of)
		case e.Action == "pass":
			delete(said, of)
		case e.Action == "skip" && of.name != "":
			skipped = append(skipped, fmt.Sprintf("%s %s: %s", of.pkg, of.name, reason(said[of])))
			delete(said, of)
		}
	}
	if len(skipped) == 0 {
		fmt.Fprintln(out, "no test was skipped")
	}
	for _, s := range skipped {
		fmt.Fprintln(out, "skipped:", s)
	}
	for _, f := range failed {
		fmt.Fprint(out, "failed: ", f)
	}
	return nil
}

// beginning is what a test that failed said first, as far as it fits into a few
// lines.
func beginning(said []string) string {
	const lines, width = 6, 300
	var begin strings.Builder
	for _, line := range said[:min(lines, len(said))] {
		if line = strings.TrimRight(line, "\n"); len(line) > width {
			line = line[:width] + "…"
		}
		fmt.Fprintln(&begin, line)
	}
	return begin.String()
}

// reason is what a test that was skipped said.
func reason(said []string) string {
	var lines []string
	for _, line := range said {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "--- SKIP") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}
