package admin_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// samples are the metrics of Piccolo as Prometheus reads them, by name and
// labels.
func samples(t *testing.T, m *admin.Metrics) map[string]float64 {
	t.Helper()
	_, body := serve(t, m).get("/metrics")
	got := make(map[string]float64)
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(name, "piccolo_") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		got[name] = v
	}
	return got
}

func compare(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			t.Errorf("%s is %v, want %v", name, g, v)
		}
	}
}

// Everything is there before it first happens, or a rate would miss that.
func TestMetricsStartAtZero(t *testing.T) {
	t.Parallel()
	compare(t, samples(t, admin.NewMetrics("1.2.3")), map[string]float64{
		`piccolo_build_info{version="1.2.3"}`: 1,
		"piccolo_published_batches_total":     0,
		"piccolo_folded_batches_total":        0,
		"piccolo_quarantined_deltas_total":    0,
		"piccolo_lost_batches_total":          0,
		"piccolo_stream_rewinds_total":        0,
		"piccolo_freshness_seconds_count":     0,
	})
}

func TestMetricsOfFlushes(t *testing.T) {
	t.Parallel()
	m := admin.NewMetrics("1.2.3")
	m.Flushed(piccolo.Flush{Keys: 10, Increments: 500, Bytes: 300, Retries: 0, Took: 2 * time.Millisecond})
	m.Flushed(piccolo.Flush{Keys: 20, Increments: 20, Bytes: 600, Retries: 3, Took: 500 * time.Millisecond})
	compare(t, samples(t, m), map[string]float64{
		"piccolo_published_batches_total":          2,
		"piccolo_published_increments_total":       500 + 20,
		"piccolo_published_deltas_total":           10 + 20,
		"piccolo_published_bytes_total":            300 + 600,
		"piccolo_publish_retries_total":            0 + 3,
		"piccolo_flush_seconds_count":              2,
		"piccolo_flush_seconds_sum":                .002 + .5,
		`piccolo_flush_seconds_bucket{le="0.002"}`: 1,
		"piccolo_gear_ratio_count":                 2,
		"piccolo_gear_ratio_sum":                   50 + 1, // 500/10 and 20/20
		`piccolo_gear_ratio_bucket{le="1"}`:        1,
		`piccolo_gear_ratio_bucket{le="50"}`:       2,
	})
}

func TestMetricsOfCommits(t *testing.T) {
	t.Parallel()
	m := admin.NewMetrics("1.2.3")
	c := piccolo.Commit{
		Batches: 10, Duplicates: 3, Rejected: 2, Increments: 500, Skipped: 9, Conflicts: 5, Rows: 40, Took: 4 * time.Millisecond,
		Freshness: []time.Duration{5 * time.Millisecond, 5 * time.Millisecond, time.Second},
	}
	c.Quarantine.In, c.Quarantine.Out = 7, 6
	m.Committed(c)
	m.Committed(piccolo.Commit{Batches: 1, Increments: 1, Rows: 1, Took: time.Millisecond})
	m.Lost(4)
	m.Damaged(300)
	m.Rewound()
	compare(t, samples(t, m), map[string]float64{
		"piccolo_folded_batches_total":                 10 - 3 - 2 + 1,
		"piccolo_duplicate_batches_total":              3,
		"piccolo_rejected_messages_total":              2,
		"piccolo_folded_increments_total":              500 + 1,
		"piccolo_skipped_increments_total":             9,
		"piccolo_conflicting_requests_total":           5,
		"piccolo_folded_rows_total":                    40 + 1,
		"piccolo_quarantined_deltas_total":             7,
		"piccolo_released_deltas_total":                6,
		"piccolo_commit_seconds_count":                 2,
		"piccolo_freshness_seconds_count":              3,
		`piccolo_freshness_seconds_bucket{le="0.005"}`: 2,
		"piccolo_lost_batches_total":                   4,
		"piccolo_stream_damaged_bytes_total":           300,
		"piccolo_stream_rewinds_total":                 1,
	})
}

func TestMetricsOfReplies(t *testing.T) {
	t.Parallel()
	m := admin.NewMetrics("1.2.3")
	m.Replies(func(reply func(status int, ack string, n uint64)) {
		reply(202, "memory", 10)
		reply(200, "stored", 20)
		reply(200, "applied", 30)
		reply(200, "", 5) // of a read
		reply(400, "", 7)
	})
	compare(t, samples(t, m), map[string]float64{
		`piccolo_http_replies_total{ack="memory",status="202"}`:  10,
		`piccolo_http_replies_total{ack="stored",status="200"}`:  20,
		`piccolo_http_replies_total{ack="applied",status="200"}`: 30,
		`piccolo_http_replies_total{ack="",status="200"}`:        5,
		`piccolo_http_replies_total{ack="",status="400"}`:        7,
	})
}

// Everything that is timed a request comes from a Spread, whose buckets are finer.
func TestMetricsOfSpreads(t *testing.T) {
	t.Parallel()
	m := admin.NewMetrics("1.2.3")
	var s piccolo.SpreadCounter
	for _, d := range []time.Duration{time.Millisecond, 3 * time.Millisecond, time.Second} {
		s.Observe(d)
	}
	m.Spread("piccolo_reply_seconds", "Replies.", s.Read)
	got := samples(t, m)
	compare(t, got, map[string]float64{
		"piccolo_reply_seconds_count":               3,
		`piccolo_reply_seconds_bucket{le="0.0005"}`: 0,
		`piccolo_reply_seconds_bucket{le="0.002"}`:  1,
		`piccolo_reply_seconds_bucket{le="0.005"}`:  2,
		`piccolo_reply_seconds_bucket{le="2.5"}`:    3,
		`piccolo_reply_seconds_bucket{le="+Inf"}`:   3,
	})
	if sum := got["piccolo_reply_seconds_sum"]; sum < 1.004/1.07 || sum > 1.004*1.07 {
		t.Errorf("the sum is %v", sum)
	}
}

// Names and help are as Prometheus wants them.
func TestMetricsLint(t *testing.T) {
	t.Parallel()
	m := admin.NewMetrics("1.2.3")
	m.Replies(func(reply func(int, string, uint64)) { reply(200, "stored", 1) })
	_, body := serve(t, m).get("/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "piccolo_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestMetricsOfGauges(t *testing.T) {
	t.Parallel()
	m := admin.NewMetrics("1.2.3")
	n := 0.0
	m.Gauge("piccolo_keys", "Keys.", func() float64 { n++; return n })
	compare(t, samples(t, m), map[string]float64{"piccolo_keys": 1})
	compare(t, samples(t, m), map[string]float64{"piccolo_keys": 2})
}
