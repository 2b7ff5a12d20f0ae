package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

const prometheusDir = "../../ops/prometheus"

// What Prometheus scrapes is as it wants it, and has every metric that alerts
// and dashboard ask for. No metric has a label for a key.
func TestMetricsOfAService(t *testing.T) {
	p := startAllInOne(t, "--listen", "127.0.0.1:0")
	increment(t.Context(), p.api, "a-key-to-be-found-nowhere", 1, "applied")
	res, err := http.Get(adminOf(p) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), "a-key-to-be") {
		t.Error("a metric tells of a key")
	}
	problems, err := promlint.New(strings.NewReader(string(body))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "piccolo_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	name := regexp.MustCompile(`\b(?:piccolo|process)_[a-z_]+`)
	for _, file := range []string{prometheusDir + "/piccolo.rules.yml", "../../ops/grafana/piccolo.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, metric := range name.FindAllString(string(text), -1) {
			if !strings.Contains(string(body), "\n"+metric) {
				t.Errorf("%s asks for %s, which there is not", file, metric)
			}
		}
	}
	p.stop()
}

// The operations manual says of each alert what to do.
func TestAlertsAreExplained(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(prometheusDir + "/piccolo.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllSubmatch(rules, -1)
	for _, alert := range alerts {
		if !strings.Contains(string(manual), "`"+string(alert[1])+"`") {
			t.Errorf("docs/operations.md does not explain %s", alert[1])
		}
	}
	if len(alerts) == 0 {
		t.Error("there are no alerts")
	}
}

// The alerts fire when they should, and only then.
func TestAlertRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool here: apt-get install prometheus")
	}
	for _, args := range [][]string{{"check", "rules", "piccolo.rules.yml"}, {"test", "rules", "piccolo.test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = filepath.FromSlash(prometheusDir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
}
