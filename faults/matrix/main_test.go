package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/faults"
)

func figuresFile(t *testing.T, all ...faults.Figures) string {
	t.Helper()
	var b bytes.Buffer
	for _, f := range all {
		if err := json.NewEncoder(&b).Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "figures.jsonl")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunsAddUp(t *testing.T) {
	kill := faults.Figures{Row: 1, Fault: "killed", Test: "TestKill", With: "PICCOLO_KILLS=3", Times: 3, Acknowledged: 1500, Away: []float64{0.3, 0.1, 0.2}}
	again := kill
	again.Away = []float64{0.5, 0.4}
	control := faults.Figures{Row: 2, Fault: "control", Test: "TestPowerCut", Times: 1, Acknowledged: 10, Lost: 4, MustLose: true}
	var out strings.Builder
	if err := run([]string{figuresFile(t, control, kill), figuresFile(t, again)}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| killed | 6 | 3,000 | 0 | 0 | 0.30 s | 0.50 s | `TestKill` with `PICCOLO_KILLS=3` |",
		"| control | 1 | 10 | 4 \\* | 0 |  |  | `TestPowerCut` |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no line %s in\n%s", want, out.String())
		}
	}
}

func TestBadRunsMakeNoTable(t *testing.T) {
	for name, f := range map[string]faults.Figures{
		"failed":                  {Row: 1, Times: 1, Failed: true},
		"a fault never made":      {Row: 1},
		"lost":                    {Row: 1, Times: 1, Lost: 1},
		"doubled":                 {Row: 1, Times: 1, Doubled: 1},
		"wrong":                   {Row: 1, Times: 1, Wrong: 1, MustLose: true, Lost: 1},
		"a control that is whole": {Row: 2, Times: 1, MustLose: true},
		"a row that is none":      {Row: 99, Times: 1},
	} {
		var out strings.Builder
		if err := run([]string{figuresFile(t, f)}, &out); err == nil {
			t.Errorf("%s: a table was made:\n%s", name, out.String())
		}
	}
}
