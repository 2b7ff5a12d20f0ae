package admin

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/piccolo-counter/piccolo"
)

// Metrics keeps count of a batch's life, in the words of the design. It is an
// observer of ingress and writer, called once a batch or commit, never once a
// request.
type Metrics struct {
	registry *prometheus.Registry

	publishedBatches    prometheus.Counter
	publishedIncrements prometheus.Counter
	publishedDeltas     prometheus.Counter
	publishedBytes      prometheus.Counter
	publishRetries      prometheus.Counter
	flush               prometheus.Histogram
	gear                prometheus.Histogram

	foldedBatches    prometheus.Counter
	duplicates       prometheus.Counter
	foldedIncrements prometheus.Counter
	foldedRows       prometheus.Counter
	quarantined      prometheus.Counter
	released         prometheus.Counter
	rejected         prometheus.Counter
	commit           prometheus.Histogram
	freshness        prometheus.Histogram
	lost             prometheus.Counter
	rewinds          prometheus.Counter
}

// NewMetrics makes metrics with nothing counted.
func NewMetrics(version string) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := promauto.With(r)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "piccolo_build_info", Help: "Which version runs; always 1.",
		ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return f.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	latency := []float64{.00025, .0005, .001, .002, .003, .005, .0075, .01, .015, .02, .03, .04, .05, .075, .1, .15, .25, .5, 1, 2.5, 5, 10, 30, 60, 600}
	return &Metrics{
		registry: r,

		publishedBatches:    counter("piccolo_published_batches_total", "Batches that the stream acknowledged."),
		publishedIncrements: counter("piccolo_published_increments_total", "Increments that published batches stand for."),
		publishedDeltas:     counter("piccolo_published_deltas_total", "Deltas in published batches."),
		publishedBytes:      counter("piccolo_published_bytes_total", "Bytes of published batches."),
		publishRetries:      counter("piccolo_publish_retries_total", "Times a batch had to be published again."),
		flush:               histogram("piccolo_flush_seconds", "From a batch sealed to acknowledged by the stream.", latency),
		gear: histogram("piccolo_gear_ratio", "Increments per delta of each published batch.",
			[]float64{1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10000}),

		foldedBatches:    counter("piccolo_folded_batches_total", "Batches folded into the database, each once."),
		duplicates:       counter("piccolo_duplicate_batches_total", "Batches that came again after they had been folded."),
		foldedIncrements: counter("piccolo_folded_increments_total", "Increments that folded batches stand for."),
		foldedRows:       counter("piccolo_folded_rows_total", "Rows upserted by folds."),
		quarantined:      counter("piccolo_quarantined_deltas_total", "Deltas put into the quarantine, since a sum would leave int64."),
		released:         counter("piccolo_released_deltas_total", "Deltas that left the quarantine, since they fit again."),
		rejected:         counter("piccolo_rejected_messages_total", "Messages in the stream that were no batches."),
		commit:           histogram("piccolo_commit_seconds", "One fold: sums, transaction, fsync.", latency),
		freshness:        histogram("piccolo_freshness_seconds", "From a batch's oldest increment accepted to committed.", latency),
		lost:             counter("piccolo_lost_batches_total", "Batches that are neither in the ledger nor in the stream."),
		rewinds:          counter("piccolo_stream_rewinds_total", "Times all of the stream was read again, since it and the database did not fit."),
	}
}

// Flushed counts a batch on its way into the stream.
func (m *Metrics) Flushed(f piccolo.Flush) {
	m.publishedBatches.Inc()
	m.publishedIncrements.Add(float64(f.Increments))
	m.publishedDeltas.Add(float64(f.Keys))
	m.publishedBytes.Add(float64(f.Bytes))
	m.publishRetries.Add(float64(f.Retries))
	m.flush.Observe(f.Took.Seconds())
	if f.Keys > 0 {
		m.gear.Observe(float64(f.Increments) / float64(f.Keys))
	}
}

// Committed counts batches on their way into the database.
func (m *Metrics) Committed(c piccolo.Commit) {
	m.foldedBatches.Add(float64(c.Batches - c.Duplicates - c.Rejected))
	m.duplicates.Add(float64(c.Duplicates))
	m.foldedIncrements.Add(float64(c.Increments))
	m.foldedRows.Add(float64(c.Rows))
	m.quarantined.Add(float64(c.Quarantine.In))
	m.released.Add(float64(c.Quarantine.Out))
	m.rejected.Add(float64(c.Rejected))
	m.commit.Observe(c.Took.Seconds())
	for _, d := range c.Freshness {
		m.freshness.Observe(d.Seconds())
	}
}

// Lost counts batches that are gone.
func (m *Metrics) Lost(batches uint64) { m.lost.Add(float64(batches)) }

// Rewound counts that the stream is read again.
func (m *Metrics) Rewound() { m.rewinds.Inc() }

// Gauge registers a value that is read when it is asked for.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Replies registers the counts of an ingress's replies, which each calls back
// with.
func (m *Metrics) Replies(each func(func(status int, ack string, n uint64))) {
	m.registry.MustRegister(replies(each))
}

type replies func(func(status int, ack string, n uint64))

var (
	repliesDesc = prometheus.NewDesc("piccolo_http_replies_total",
		"Replies of the API, by status and, for an increment, by what held.", []string{"status", "ack"}, nil)
	acceptedDesc = prometheus.NewDesc("piccolo_accepted_increments_total",
		"Increments that were counted and replied to.", nil, nil)
)

func (r replies) Describe(c chan<- *prometheus.Desc) {
	c <- repliesDesc
	c <- acceptedDesc
}

func (r replies) Collect(c chan<- prometheus.Metric) {
	var accepted float64
	r(func(status int, ack string, n uint64) {
		c <- prometheus.MustNewConstMetric(repliesDesc, prometheus.CounterValue, float64(n), strconv.Itoa(status), ack)
		if ack != "" {
			accepted += float64(n)
		}
	})
	c <- prometheus.MustNewConstMetric(acceptedDesc, prometheus.CounterValue, accepted)
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
