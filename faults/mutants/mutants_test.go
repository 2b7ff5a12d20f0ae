package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A mutant that does not apply any more says nothing. Whether the tests kill
// them takes minutes, and is for go run ./faults/mutants to tell.
func TestMutantsApply(t *testing.T) {
	seen := make(map[string]bool)
	for _, m := range mutants {
		if seen[m.name] {
			t.Errorf("two mutants are called %s", m.name)
		}
		seen[m.name] = true
		if _, err := m.apply("../.."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// The page lists these mutants, in this order, with tests that are to kill them.
func TestMutantsAreThoseOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(page), heading+"\n")
	if !ok {
		t.Fatal("docs/reliability.md has no list of them")
	}
	list, _, _ = strings.Cut(list, "\n\n")
	lines := strings.Split(list, "\n")
	for i, line := range lines[:min(len(lines), len(mutants))] {
		m := mutants[i]
		rest, ok := strings.CutPrefix(line, fmt.Sprintf("| `%s` | %s | `", m.name, m.breaks))
		killer := strings.TrimSuffix(rest, "` |")
		if test, _, _ := strings.Cut(killer, "/"); !ok || !strings.Contains("|"+m.tests+"|", "|"+test+"|") {
			t.Fatalf("docs/reliability.md lists as number %d\n%s\nwant %s, with a killer of %s: go run ./faults/mutants makes the list", i+1, line, m.name, m.tests)
		}
	}
	if len(lines) != len(mutants) {
		t.Errorf("docs/reliability.md lists %d mutants, want %d", len(lines), len(mutants))
	}
}
