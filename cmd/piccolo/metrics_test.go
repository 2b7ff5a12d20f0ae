package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.yaml.in/yaml/v3"
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
	for _, series := range []string{`piccolo_http_replies_total{ack="",status="503"} 0`, `piccolo_http_replies_total{ack="memory",status="202"} 0`} {
		if !strings.Contains(string(body), "\n"+series+"\n") {
			t.Errorf("there is no %s before the first", series)
		}
	}
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

// An increment is counted at each stage of its life, in the words of the design.
func TestMetricsOfAnIncrement(t *testing.T) {
	t.Parallel()
	p := startAllInOne(t, "--listen", "127.0.0.1:0")
	increment(t.Context(), p.api, "foo", 1, "applied")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(adminOf(p) + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var missing []string
		for _, stage := range []string{"accepted_increments", "published_batches", "fetched_messages", "folded_batches", "commits", "acked_messages", "trims"} {
			if series := "\npiccolo_" + stage + "_total 1\n"; !strings.Contains(string(body), series) {
				missing = append(missing, stage)
			}
		}
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after one increment there is not one of %q: %s", missing, body)
		}
	}
	p.stop()
}

// The operations manual says of each alert what it means, and what to do.
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
	if !strings.Contains(string(rules), fmt.Sprintf("piccolo_disk_free_bytes < %d", leastFree)) {
		t.Errorf("PiccoloDiskLow does not warn below %d, as /readyz does", leastFree)
	}
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllSubmatch(rules, -1)
	for _, alert := range alerts {
		row := regexp.MustCompile("(?m)^\\|[^|\n]*`" + string(alert[1]) + "`[^|\n]*\\| *[^| \n][^|\n]*\\| *[^| \n][^|\n]*\\|$")
		if !row.Match(manual) {
			t.Errorf("docs/operations.md does not explain %s: there is no row with it, what it means and what to do", alert[1])
		}
	}
	if len(alerts) == 0 {
		t.Error("there are no alerts")
	}
}

// The alerts fire when they should, and only then.
func TestAlertRules(t *testing.T) {
	t.Parallel()
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

// Every alert has a test in which it fires and one in which it does not, on the
// metrics that it looks at.
func TestEveryAlertIsTested(t *testing.T) {
	t.Parallel()
	read := func(name string, into any) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(prometheusDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	read("piccolo.rules.yml", &rules)
	type expected struct {
		Expr    string
		Samples []any `yaml:"exp_samples"`
	}
	type test struct {
		Name        string
		Series      []struct{ Series string } `yaml:"input_series"`
		Expressions []expected                `yaml:"promql_expr_test"`
	}
	var tests struct{ Tests []test }
	read("piccolo.test.yml", &tests)
	metric := regexp.MustCompile(`\b(?:piccolo_[a-z_]+|process_[a-z_]+|up)\b`)
	checked := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			for name, fires := range map[string]bool{rule.Alert + " fires": true, rule.Alert + " is quiet": false} {
				i := slices.IndexFunc(tests.Tests, func(c test) bool { return c.Name == name })
				if i < 0 {
					t.Errorf("there is no test %q", name)
					continue
				}
				c := tests.Tests[i]
				if len(c.Expressions) != 1 || !strings.Contains(c.Expressions[0].Expr, `"`+rule.Alert+`"`) || len(c.Expressions[0].Samples) > 0 != fires {
					t.Errorf("%q tests %+v", name, c.Expressions)
				}
				series := fmt.Sprint(c.Series)
				for _, m := range metric.FindAllString(rule.Expr, -1) {
					if !strings.Contains(series, m+"{") {
						t.Errorf("%q lacks %s", name, m)
					}
				}
				checked++
			}
		}
	}
	if checked < 2*14 {
		t.Errorf("%d tests", checked)
	}
}
