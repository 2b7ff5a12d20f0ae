package piccolo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The step that looks for known vulnerabilities passes by what could not be looked
// up, and never by what was found, whatever else is in the output.
func TestVulnerabilitiesFailTheStep(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash")
	}
	// A tree of its own, with a scanner that says what the test wants.
	dir := t.TempDir()
	script, err := os.ReadFile(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		".ci/run": string(script),
		"bin/go":  "#!/bin/sh\nmkdir -p \"$GOBIN\" && cp scanner \"$GOBIN/govulncheck\"\n",
		"scanner": "#!/bin/sh\necho \"$SAYS\"\nexit \"$ENDS\"\n",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const away = "govulncheck: fetching vulnerabilities: Get \"https://vuln.go.dev/index/modules.json.gz\": dial tcp: no such host"
	for _, c := range []struct {
		says, ends string
		passes     bool
		prints     string
	}{
		{"No vulnerabilities found.", "0", true, "No vulnerabilities found."},
		{"GO-2026-1: a timeout is ignored in net/http", "3", false, "a timeout is ignored"},
		{away + "\nGO-2026-1", "3", false, "GO-2026-1"},
		{away, "1", true, "skipped: the vulnerability database is out of reach"},
		{"loading packages: dial tcp: no such host", "1", false, "loading packages"},
	} {
		cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(dir, ".ci/run"), "vuln")
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "SAYS="+c.says, "ENDS="+c.ends)
		out, err := cmd.CombinedOutput()
		if (err == nil) != c.passes || !strings.Contains(string(out), c.prints) {
			t.Errorf("a scanner that says %q and exits with %s: %v, and it prints\n%s", c.says, c.ends, err, out)
		}
	}
}
