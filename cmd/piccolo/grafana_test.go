package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// panel is one of the dashboard.
type panel struct {
	ID      int
	Title   string
	Place   struct{ X, Y, W, H int } `json:"gridPos"`
	Targets []struct{ Expr, RefID string }
}

func (p *panel) overlaps(o *panel) bool {
	a, b := p.Place, o.Place
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// Grafana shows every panel of the dashboard, and Prometheus understands what it
// asks for. That there is what it asks for, TestMetricsOfAService looks at.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../ops/grafana/piccolo.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	type rule struct{ Record, Expr string }
	var rules []rule
	variables := strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m")
	for i := range dashboard.Panels {
		p := &dashboard.Panels[i]
		if g := p.Place; p.Title == "" || g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("panel %d, %q, is at %+v of 24 columns", p.ID, p.Title, g)
		}
		for j := range dashboard.Panels[:i] {
			if o := &dashboard.Panels[j]; o.ID == p.ID || o.overlaps(p) {
				t.Errorf("%q and %q have one id, %d, or lie above each other", o.Title, p.Title, p.ID)
			}
		}
		refs := make(map[string]bool)
		for _, target := range p.Targets {
			expr := variables.Replace(target.Expr)
			if expr == "" || strings.Contains(expr, "$") || refs[target.RefID] {
				t.Errorf("%q asks for %q as %q", p.Title, target.Expr, target.RefID)
			}
			refs[target.RefID] = true
			rules = append(rules, rule{fmt.Sprintf("panel:%d:%s", p.ID, target.RefID), expr})
		}
		if len(refs) == 0 {
			t.Errorf("%q asks for nothing", p.Title)
		}
	}
	if len(rules) < 30 {
		t.Errorf("only %d expressions", len(rules))
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool here: apt-get install prometheus")
	}
	data, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	writeFile(t, file, string(data))
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
