package client_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The clients that the documentation shows do what it says.
func TestDocumentedClients(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Clients\n")
	if !found {
		t.Fatal("there is no section Clients")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	s := start(t)
	for language, run := range map[string]struct {
		file, program string
		args          []string
	}{
		"sh":         {"main.sh", "sh", nil},
		"go":         {"main.go", "go", []string{"run"}},
		"python":     {"main.py", "python3", nil},
		"javascript": {"main.js", "node", nil},
	} {
		t.Run(language, func(t *testing.T) {
			block := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(section)
			if block == nil {
				t.Fatal("it is not there")
			}
			if _, err := exec.LookPath(run.program); err != nil {
				t.Skipf("skipped: %v", err)
			}
			if _, err := exec.LookPath("curl"); language == "sh" && err != nil {
				t.Skipf("skipped: %v", err)
			}
			path := filepath.Join(t.TempDir(), run.file)
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(block[1], "http://localhost:3333", s.url())), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(run.program, append(run.args, path)...).CombinedOutput(); err != nil || !strings.Contains(string(out), "10") {
				t.Errorf("%v: %s", err, out)
			}
			if n, err := s.client().Get(t.Context(), "orders."+language); err != nil || n.Value != 10 {
				t.Errorf("it counted %d, error %v; want 10", n.Value, err)
			}
		})
	}
}
