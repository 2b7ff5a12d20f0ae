package admin

import (
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/piccolo-counter/piccolo"
)

// Metrics keeps count of a batch's life, in the words of the design. It is an
// observer of ingress and writer, called once a batch or commit, never once a
// request. What it counts is read by Prometheus and goes into reports.
type Metrics struct {
	registry *prometheus.Registry

	publishedBatches    counter
	publishedIncrements counter
	publishedDeltas     counter
	publishedBytes      counter
	publishRetries      counter
	flush               prometheus.Histogram
	gear                prometheus.Histogram
	flushSpread         piccolo.SpreadCounter

	commits          counter
	foldedBatches    counter
	duplicates       counter
	foldedIncrements counter
	skipped          counter
	conflicts        counter
	foldedRows       counter
	quarantined      counter
	released         counter
	rejected         counter
	commit           prometheus.Histogram
	freshness        prometheus.Histogram
	commitSpread     piccolo.SpreadCounter
	freshnessSpread  piccolo.SpreadCounter
	lost             counter
	damaged          counter
	rewinds          counter

	hottest hottest
}

// counter counts what both Prometheus and reports read.
type counter struct{ atomic.Uint64 }

func (c *counter) add(n int) { c.Add(uint64(n)) }

// latency are the buckets of every time, in seconds.
var latency = []float64{.00025, .0005, .001, .002, .003, .005, .0075, .01, .015, .02, .03, .04, .05, .075, .1, .15, .25, .5, 1, 2.5, 5, 10, 30, 60, 600}

// NewMetrics makes metrics with nothing counted.
func NewMetrics(version string) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := promauto.With(r)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "piccolo_build_info", Help: "Which version runs; always 1.",
		ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return f.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	m := &Metrics{
		registry: r,
		flush:    histogram("piccolo_flush_seconds", "From a batch sealed to acknowledged by the stream.", latency),
		gear: histogram("piccolo_gear_ratio", "Increments per delta of each published batch.",
			[]float64{1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10000}),
		commit:    histogram("piccolo_commit_seconds", "One fold: sums, transaction, fsync.", latency),
		freshness: histogram("piccolo_freshness_seconds", "From a batch's oldest increment accepted to committed.", latency),
	}
	for _, c := range []struct {
		counter    *counter
		name, help string
	}{
		{&m.publishedBatches, "piccolo_published_batches_total", "Batches that the stream acknowledged."},
		{&m.publishedIncrements, "piccolo_published_increments_total", "Increments that published batches stand for."},
		{&m.publishedDeltas, "piccolo_published_deltas_total", "Deltas in published batches."},
		{&m.publishedBytes, "piccolo_published_bytes_total", "Bytes of published batches."},
		{&m.publishRetries, "piccolo_publish_retries_total", "Times a batch had to be published again."},
		{&m.commits, "piccolo_commits_total", "Transactions committed to the database."},
		{&m.foldedBatches, "piccolo_folded_batches_total", "Batches folded into the database, each once."},
		{&m.duplicates, "piccolo_duplicate_batches_total", "Batches that came again after they had been folded."},
		{&m.foldedIncrements, "piccolo_folded_increments_total", "Increments that folded batches stand for."},
		{&m.skipped, "piccolo_skipped_increments_total", "Of the folded increments, those whose Idempotency-Key had been counted, and those of batches that were rejected."},
		{&m.conflicts, "piccolo_conflicting_requests_total", "Requests skipped because their Idempotency-Key stood for another."},
		{&m.foldedRows, "piccolo_folded_rows_total", "Rows upserted by folds."},
		{&m.quarantined, "piccolo_quarantined_deltas_total", "Deltas put into the quarantine, since a sum would leave int64."},
		{&m.released, "piccolo_released_deltas_total", "Deltas that left the quarantine, since they fit again."},
		{&m.rejected, "piccolo_rejected_messages_total", "Messages in the stream that were no batches, or have keys of another database."},
		{&m.lost, "piccolo_lost_batches_total", "Batches that are neither in the ledger nor in the stream; after a restore, at most so many."},
		{&m.damaged, "piccolo_stream_damaged_bytes_total", "Bytes of the stream that the server could not read, and cut off. Batches that were stored and not folded may have been in them."},
		{&m.rewinds, "piccolo_stream_rewinds_total", "Times all of the stream was read again, since it and the database did not fit."},
	} {
		m.Counter(c.name, c.help, c.counter.Load)
	}
	return m
}

// Flushed counts a batch on its way into the stream.
func (m *Metrics) Flushed(f piccolo.Flush) {
	m.publishedBatches.add(1)
	m.publishedIncrements.Add(f.Increments)
	m.publishedDeltas.add(f.Keys)
	m.publishedBytes.add(f.Bytes)
	m.publishRetries.add(f.Retries)
	m.flush.Observe(f.Took.Seconds())
	m.flushSpread.Observe(f.Took)
	if f.Keys > 0 {
		m.gear.Observe(float64(f.Increments) / float64(f.Keys))
	}
}

// Committed counts batches on their way into the database.
func (m *Metrics) Committed(c piccolo.Commit) {
	m.commits.add(1)
	m.foldedBatches.add(c.Batches - c.Duplicates - c.Rejected)
	m.duplicates.add(c.Duplicates)
	m.foldedIncrements.Add(c.Increments)
	m.skipped.Add(c.Skipped)
	m.conflicts.add(c.Conflicts)
	m.foldedRows.add(c.Rows)
	m.quarantined.add(c.Quarantine.In)
	m.released.add(c.Quarantine.Out)
	m.rejected.add(c.Rejected)
	m.commit.Observe(c.Took.Seconds())
	m.commitSpread.Observe(c.Took)
	for _, d := range c.Freshness {
		m.freshness.Observe(d.Seconds())
		m.freshnessSpread.Observe(d)
	}
	m.hottest.add(c.Deltas)
}

// Lost counts batches that are gone.
func (m *Metrics) Lost(batches uint64) { m.lost.Add(batches) }

// Gone counts batches that may be.
func (m *Metrics) Gone(atMost uint64) { m.lost.Add(atMost) }

// Damaged counts bytes of the stream that could not be read.
func (m *Metrics) Damaged(bytes uint64) { m.damaged.Add(bytes) }

// Rewound counts that the stream is read again.
func (m *Metrics) Rewound() { m.rewinds.add(1) }

// ReportIngress writes what is counted of an ingress into its report.
func (m *Metrics) ReportIngress(r *piccolo.IngressReport) {
	r.Deltas, r.Bytes, r.Retries = m.publishedDeltas.Load(), m.publishedBytes.Load(), m.publishRetries.Load()
	r.Flush = m.flushSpread.Read()
}

// ReportWriter writes what is counted of a writer into its report.
func (m *Metrics) ReportWriter(r *piccolo.WriterReport) {
	r.Commits, r.Batches, r.Duplicates = m.commits.Load(), m.foldedBatches.Load(), m.duplicates.Load()
	r.Increments, r.Rows = m.foldedIncrements.Load(), m.foldedRows.Load()
	r.Quarantined, r.Released, r.Rejected = m.quarantined.Load(), m.released.Load(), m.rejected.Load()
	r.Lost, r.Rewinds = m.lost.Load(), m.rewinds.Load()
	r.Commit, r.Freshness = m.commitSpread.Read(), m.freshnessSpread.Read()
	r.Hottest = m.hottest.top(time.Now(), reportedKeys)
}

// Gauge registers a value that is read when it is asked for.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Counter registers a count that is read when it is asked for.
func (m *Metrics) Counter(name, help string, read func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
		func() float64 { return float64(read()) }))
}

// Spread registers times that are read when they are asked for.
func (m *Metrics) Spread(name, help string, read func() piccolo.Spread) {
	m.registry.MustRegister(spreads{prometheus.NewDesc(name, help+" The sum is estimated from the buckets.", nil, nil), read})
}

// spreads shows a Spread as a histogram.
type spreads struct {
	desc *prometheus.Desc
	read func() piccolo.Spread
}

func (s spreads) Describe(c chan<- *prometheus.Desc) { c <- s.desc }

func (s spreads) Collect(c chan<- prometheus.Metric) {
	spread := s.read()
	buckets := make(map[float64]uint64, len(latency))
	for _, le := range latency {
		buckets[le] = spread.Within(time.Duration(math.Round(le * float64(time.Second))))
	}
	c <- prometheus.MustNewConstHistogram(s.desc, spread.Count(), spread.Sum().Seconds(), buckets)
}

// Replies registers the counts of an ingress's replies, which each calls back
// with.
func (m *Metrics) Replies(each func(func(status int, ack string, n uint64))) {
	m.registry.MustRegister(replies(each))
}

type replies func(func(status int, ack string, n uint64))

var repliesDesc = prometheus.NewDesc("piccolo_http_replies_total",
	"Replies of the API, by status and, for an increment, by what held.", []string{"status", "ack"}, nil)

func (r replies) Describe(c chan<- *prometheus.Desc) { c <- repliesDesc }

func (r replies) Collect(c chan<- prometheus.Metric) {
	r(func(status int, ack string, n uint64) {
		c <- prometheus.MustNewConstMetric(repliesDesc, prometheus.CounterValue, float64(n), strconv.Itoa(status), ack)
	})
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
