package faults_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// buildAltered builds the service with other texts for some of its files, or
// with files that it does not have, by their paths from here. Nothing is written
// into the repository.
func buildAltered(name string, texts map[string]string) (path string, err error) {
	dir := filepath.Join(filepath.Dir(binary), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for file, text := range texts {
		original, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		replace[original] = filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(replace[original], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "piccolo")
	build := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-overlay", overlay, "-o", path, "../cmd/piccolo")...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}
