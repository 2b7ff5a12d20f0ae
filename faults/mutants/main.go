// Command mutants breaks each promise of the design on purpose, one at a time,
// and sees the tests turn red:
//
//	go run ./faults/mutants            # all of them
//	go run ./faults/mutants 2/5        # the second fifth of them
//	go run ./faults/mutants trim-early # this one
//
// A mutant that no test kills means that its promise is not tested. Nothing is
// written into the repository: the compiler is told to read another text for
// one of its files. The idea is from bluesky-social/jetstream,
// testing/mutation.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// heading is what the list begins with.
const heading = "| mutant | breaks | killed by |\n|---|---|---|"

func run(names []string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	if err := green(chosen); err != nil {
		return err
	}
	fmt.Println(heading)
	var survived []string
	for i, outcome := range tryAll(chosen) {
		m, o := chosen[i], <-outcome
		if o.err != nil {
			return fmt.Errorf("%s: %w", m.name, o.err)
		}
		killer := o.killer
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

// choose returns the mutants of these names, or all. A name may also be a part:
// 2/5 are those of the second of five.
func choose(names []string) ([]mutant, error) {
	if len(names) == 0 {
		return mutants, nil
	}
	var chosen []mutant
	for _, name := range names {
		if part, parts, ok := fraction(name); ok {
			chosen = append(chosen, mutants[(part-1)*len(mutants)/parts:part*len(mutants)/parts]...)
			continue
		}
		i := slices.IndexFunc(mutants, func(m mutant) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no mutant %q: without a name, all are run", name)
		}
		chosen = append(chosen, mutants[i])
	}
	return chosen, nil
}

func fraction(s string) (part, parts int, ok bool) {
	first, second, ok := strings.Cut(s, "/")
	if !ok {
		return 0, 0, false
	}
	part, err1 := strconv.Atoi(first)
	parts, err2 := strconv.Atoi(second)
	return part, parts, err1 == nil && err2 == nil && 1 <= part && part <= parts
}

// green runs the tests without a mutant: one that is red by itself would kill
// whatever it is given.
func green(chosen []mutant) error {
	tests := make(map[string][]string)
	for _, m := range chosen {
		tests[m.pkg] = append(tests[m.pkg], m.tests)
	}
	for pkg, names := range tests {
		if out, err := goTest(pkg, strings.Join(names, "|"), 5*timeout); err != nil {
			return fmt.Errorf("the tests of %s are red without a mutant: %s", pkg, out)
		}
	}
	return nil
}

type outcome struct {
	killer string // "" where all tests passed
	err    error
}

// tryAll tries mutants side by side. Most of what each takes is to be linked,
// which one core does.
func tryAll(chosen []mutant) []chan outcome {
	outcomes := make([]chan outcome, len(chosen))
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
	}
	var mu sync.Mutex
	next := 0
	for range runtime.NumCPU() {
		go func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(chosen) {
					return
				}
				killer, err := chosen[i].try()
				outcomes[i] <- outcome{killer, err}
			}
		}()
	}
	return outcomes
}

// timeout is for the tests of one mutant: a broken service may hang, which
// kills it too.
const timeout = time.Minute

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// try runs m's tests against m, and returns the one that killed it, "" where
// all passed.
func (m mutant) try() (killer string, err error) {
	mutated, err := m.apply(".")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "piccolo-mutant")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := overlay(dir, m.file, mutated)
	if err != nil {
		return "", err
	}
	out, err := goTest(m.pkg, m.tests, timeout, "-overlay", overlay)
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

// apply returns the text of m's file, of the repository at root, broken as m
// says.
func (m mutant) apply(root string) ([]byte, error) {
	source, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("%s has the text to be replaced %d times: adapt the mutant to the code", m.file, n)
	}
	return bytes.Replace(source, []byte(m.old), []byte(m.new), 1), nil
}

// overlay writes into dir what has go read another text for file, and returns
// the path for its flag.
func overlay(dir, file string, text []byte) (path string, err error) {
	file, err = filepath.Abs(file)
	if err != nil {
		return "", err
	}
	replaced, path := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{file: replaced}})
	if err != nil {
		return "", err
	}
	return path, errors.Join(os.WriteFile(replaced, text, 0o644), os.WriteFile(path, list, 0o644))
}

// goTest runs the tests of a package whose whole name is one of tests, which are
// separated by |, and fails where there are none.
func goTest(pkg, tests string, limit time.Duration, flags ...string) (out []byte, err error) {
	args := append([]string{"test", "-count=1", "-vet=off", "-ldflags=-s -w", "-failfast", "-timeout", limit.String(), "-run", "^(" + tests + ")$"}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	// A property that fails leaves no file to be tried again, and nobody reads
	// its smallest example.
	cmd.Env = append(os.Environ(), "RAPID_NOFAILFILE=1", "RAPID_SHRINKTIME=1ms")
	out, err = cmd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("no tests to run")) {
		err = errors.New("no tests to run")
	}
	return out, err
}
