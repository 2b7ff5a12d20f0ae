package main

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/piccolo-counter/piccolo"
)

// Every request is what its target says, and every reply is tallied under the
// increment that it answers, whatever it is.
func TestAttackTalliesEveryReply(t *testing.T) {
	statuses := map[string]int{
		"stored": 200, "memory": 202, "redirected": 307, "malformed": 400, "full": 503,
		"cut": 0, // the connection ends without a reply
	}
	var increments []piccolo.Increment
	for key := range statuses {
		increments = append(increments, piccolo.Increment{Key: key, Value: 3})
	}

	var mu sync.Mutex
	sent := make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.RequestURI != "/increment" {
			t.Errorf("got %s %s, want POST /increment", r.Method, r.RequestURI)
		}
		if got := r.Header.Get("Content-Type"); got != formType {
			t.Errorf("Content-Type %q", got)
		}
		if got := r.Header.Get("Piccolo-Ack"); got != "applied" {
			t.Errorf("Piccolo-Ack %q", got)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		inc, err := parseForm(string(body))
		if err != nil || inc.Value != 3 {
			t.Errorf("body %q: %v", body, err)
		}
		mu.Lock()
		sent[inc.Key]++
		mu.Unlock()
		if statuses[inc.Key] == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(statuses[inc.Key])
	}))
	defer server.Close()

	tally := newTally(increments)
	attack := attack{
		name: "test", targets: targets(server.URL, piccolo.AckApplied, increments),
		rate: 500, duration: 200 * time.Millisecond, connections: 4, workers: 8,
	}
	results := attack.run(t.Context(), tally, progress{w: io.Discard})

	mu.Lock()
	defer mu.Unlock()
	want := make(map[string]account)
	var outcomes [unknown + 1]int
	for key, n := range sent {
		outcomes[outcomeOf(uint16(statuses[key]))] += n
		switch sum := int64(3 * n); key {
		case "stored", "memory":
			want[key] = account{acked: sum}
		case "cut":
			want[key] = account{high: sum}
		default:
			want[key] = account{}
		}
	}
	got := make(map[string]account)
	for key, a := range tally.accounts {
		got[key] = *a
	}
	if !maps.Equal(got, want) {
		t.Errorf("tallied %v, want %v", got, want)
	}
	if tally.outcomes != outcomes {
		t.Errorf("outcomes %v, want %v", tally.outcomes, outcomes)
	}
	for _, problem := range results.metrics.Errors {
		if strings.Contains(problem, "#") {
			t.Errorf("the report tells errors of one kind apart: %s", problem)
		}
	}

	var report bytes.Buffer
	if err := results.report(&report); err != nil || !strings.Contains(report.String(), "Status Codes") {
		t.Errorf("report %q, error %v", &report, err)
	}
	plot := filepath.Join(t.TempDir(), "plot.html")
	if err := results.writePlot(plot); err != nil {
		t.Fatal(err)
	}
	if page, err := os.ReadFile(plot); err != nil || !bytes.Contains(page, []byte("<html")) {
		t.Errorf("the plot is no page of HTML, error %v", err)
	}
	if err := results.writePlot(filepath.Join(plot, "below a file")); err == nil {
		t.Error("a plot was written below a file")
	}
}

// The vegeta command reads the targets that are written for it.
func TestTargetsForTheCommand(t *testing.T) {
	var out, errs bytes.Buffer
	if code := command(t.Context(), []string{"--profile=insane", "--targets", "--url=http://piccolo:1/", "--ack=memory", "--seed=3"}, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	read, err := vegeta.ReadAllTargets(vegeta.NewJSONTargeter(&out, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := targets("http://piccolo:1", piccolo.AckMemory, insane(3))
	if len(read) != len(want) {
		t.Fatalf("%d targets, want %d", len(read), len(want))
	}
	for i := range want {
		if !read[i].Equal(&want[i]) {
			t.Fatalf("target %d is %v, want %v", i, read[i], want[i])
		}
	}
}

func TestProgress(t *testing.T) {
	tally := newTally([]piccolo.Increment{{Key: "a", Value: 1}})
	tally.outcomes = [...]int{acknowledged: 1234, refused: 5, unknown: 6}
	for live, want := range map[bool]string{
		true:  eraseLine + "1.5 s  1,234 acknowledged, 5 refused, 6 unknown" + eraseLine,
		false: "1.5 s  1,234 acknowledged, 5 refused, 6 unknown\n",
	} {
		var out bytes.Buffer
		p := progress{&out, live}
		p.show(1510*time.Millisecond, tally)
		p.done()
		if out.String() != want {
			t.Errorf("live %v: %q, want %q", live, &out, want)
		}
	}
}
