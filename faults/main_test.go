package faults_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var (
	binary string // the service, built with crash points for this run of the tests
	source string // all of its code
)

var buildFlags = []string{"-tags", "crashpoints"}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	// That it was read is what tells go test that results of another source
	// are not to be had from its cache.
	if source, err = readSource(".."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "piccolo-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "piccolo")
	build := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", binary, "../cmd/piccolo")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the service: %v\n%s", err, out)
		return 1
	}
	// The tests mostly wait for processes, and those mostly for the disk or
	// the clock: more of them than there are cores fit beside one another.
	flag.Parse()
	parallel := false
	flag.Visit(func(f *flag.Flag) { parallel = parallel || f.Name == "test.parallel" })
	if !parallel {
		if err := flag.Set("test.parallel", "6"); err != nil {
			panic(err) // testing has that flag
		}
	}
	return m.Run()
}

// readSource reads the Go files below dir that are no tests.
func readSource(dir string) (string, error) {
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	return all.String(), err
}
