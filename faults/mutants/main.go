// Command mutants breaks each invariant of the design on purpose, one at a
// time, in a copy of the repository, and sees the tests turn red:
//
//	go run ./faults/mutants            # all of them
//	go run ./faults/mutants trim-early # this one
//
// A mutant that no test kills means that its invariant is not tested. The idea
// is from bluesky-social/jetstream, testing/mutation.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(mutants, func(m mutant) bool { return m.name == name }) {
			return fmt.Errorf("there is no mutant %q: without a name, all are run", name)
		}
	}
	dir, err := os.MkdirTemp("", "piccolo-mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyRepository(dir); err != nil {
		return fmt.Errorf("copy the repository, from its top: %w", err)
	}
	fmt.Println("| mutant | breaks | killed by |\n|---|---|---|")
	var survived []string
	for _, m := range mutants {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		killer, err := m.try(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if killer == "" {
			killer = "**nothing**"
			survived = append(survived, m.name)
		}
		fmt.Printf("| `%s` | %s | %s |\n", m.name, m.breaks, killer)
	}
	if len(survived) > 0 {
		return fmt.Errorf("survived: %s", strings.Join(survived, ", "))
	}
	return nil
}

// copyRepository copies the working tree, but for what git ignores.
func copyRepository(dir string) error {
	list, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, not yet committed
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// timeout is for the tests of one mutant: a broken service may hang, which
// kills it too.
const timeout = time.Minute

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// try applies m to the copy in dir, runs its tests, and takes m back. It returns
// the test that killed m, "" where all passed.
func (m mutant) try(dir string) (killer string, err error) {
	path := filepath.Join(dir, m.file)
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		return "", fmt.Errorf("%s has the text to be replaced %d times: adapt the mutant to the code", m.file, n)
	}
	mutated := bytes.Replace(source, []byte(m.old), []byte(m.new), 1)
	if err := os.WriteFile(path, mutated, 0o644); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.WriteFile(path, source, 0o644)) }()

	if out, err := command(dir, "go", "build", "./...").CombinedOutput(); err != nil {
		return "", fmt.Errorf("the mutant does not compile: %s", out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout+10*time.Second)
	defer cancel()
	args := append([]string{"test", "-failfast", "-timeout", timeout.String()}, m.tests...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", nil
	}
	if f := failedTest.FindSubmatch(out); f != nil {
		return "`" + string(f[1]) + "`", nil
	}
	if bytes.Contains(out, []byte("panic: test timed out")) {
		return "a test that hangs", nil
	}
	return "", fmt.Errorf("the tests did not run: %s", out)
}

func command(dir string, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	return cmd
}
