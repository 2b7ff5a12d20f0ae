package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tested is what becomes of the tests in files of a module with a package each.
func tested(t *testing.T, tests map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"go.mod": "module example\n\ngo 1.26\n"}
	for name, text := range tests {
		files[filepath.Join(name, "it_test.go")] = "package it\n\nimport \"testing\"\n\n" + text
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-json", "./...")
	cmd.Dir = dir
	events, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := show(bytes.NewReader(events), &out); err != nil {
		t.Fatalf("%v of %s", err, events)
	}
	return out.String()
}

func TestSkippedTestsAreToldOf(t *testing.T) {
	out := tested(t, map[string]string{
		"passes": `func TestPasses(t *testing.T) { t.Log("nobody needs this") }`,
		"skips": `func TestSkips(t *testing.T) {
	t.Run("one", func(t *testing.T) { t.Skip("there is no strace") })
	t.Run("other", func(t *testing.T) {})
}`,
	})
	for _, want := range []string{
		"ok  \texample/passes\t", "ok  \texample/skips\t",
		"skipped: example/skips TestSkips/one: it_test.go:6: there is no strace\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, noise := range []string{"=== ", "--- PASS", "PASS\n", "nobody needs"} {
		if strings.Contains(out, noise) {
			t.Errorf("%q in\n%s", noise, out)
		}
	}
}

func TestFailuresAreShown(t *testing.T) {
	out := tested(t, map[string]string{
		"fails":   `func TestFails(t *testing.T) { t.Run("deep", func(t *testing.T) { t.Error("this is why") }) }`,
		"panics":  `func TestPanics(t *testing.T) { panic("this as well") }`,
		"dies":    "func TestWaits(t *testing.T) {\n\tt.Log(\"and this\")\n\tgo func() { panic(\"elsewhere\") }()\n\tselect {}\n}",
		"nothing": `func TestNothing(t *testing.T) { _ = nonsense }`,
	})
	for _, want := range []string{
		"\nfailed: example/fails TestFails/deep\n    it_test.go:5: this is why\n",
		"--- FAIL: TestFails/deep", "this is why", "FAIL\texample/fails\t", "no test was skipped\n",
		"this as well", "FAIL\texample/panics\t", "and this", "elsewhere", "FAIL\texample/dies\t",
		"undefined: nonsense", "FAIL\texample/nothing [",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	if err := show(strings.NewReader("ok  \texample\t0.1s\n"), &bytes.Buffer{}); err == nil {
		t.Error("it was taken")
	}
}
