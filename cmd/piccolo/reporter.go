package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// reporter is an actor that tells once a second how this process does, and hears
// the same of the others:
//
//	ingress, writer, metrics ──► report ──► piccolo.report.<id> ──► every process
//	                                └─────► deployment ◄────────────┘
//	                                           └──► the page
type reporter struct {
	*service
	admin  string
	checks []admin.Check

	ended string // how the process did, once stop is closed
	stop  chan struct{}
	once  sync.Once
}

// reportEvery is how often a process tells of itself.
const reportEvery = time.Second

// openReporter makes a reporter of what the service has opened.
func (s *service) openReporter(admin string, checks []admin.Check) *reporter {
	r := &reporter{service: s, admin: admin, checks: checks, stop: make(chan struct{})}
	s.metrics.Gauge("piccolo_conservation_broken_increments", "Increments by which published = backlog + folded + lost fails; must be 0.",
		func() float64 { now, _ := s.deployment.Now(); return float64(now.Conservation.Broken) })
	s.metrics.Gauge("piccolo_conservation_lost_batches", "Batches that were published, and are neither in the ledger nor in the stream; must be 0.",
		func() float64 { now, _ := s.deployment.Now(); return float64(now.Conservation.LostBatches) })
	s.metrics.Gauge("piccolo_unserved_partitions", "Partitions of which no writer reports to this process.",
		func() float64 { now, _ := s.deployment.Now(); return float64(len(now.Unserved)) })
	s.metrics.Gauge("piccolo_ready", "1 where every check of /readyz passed within the last second.", r.ready)
	s.metrics.Gauge("piccolo_disk_free_bytes", "What this user may still write under the data directory or the database's, whichever has less; -1 where that is unknown.",
		func() float64 { _, free, _ := scarcest(s.dirs()...); return free })
	s.metrics.Gauge("piccolo_disk_size_bytes", "Size of the file system that piccolo_disk_free_bytes is of; -1 where that is unknown.",
		func() float64 { _, _, size := scarcest(s.dirs()...); return size })
	s.metrics.Gauge("piccolo_nats_connected", "1 where the connection to NATS stands.",
		func() float64 { return truth(s.conn.Check(context.Background()) == nil) })
	s.metrics.Counter("piccolo_nats_connections_total", "Times the connection to NATS was made.", s.conn.Connections)
	s.metrics.Gauge("piccolo_unclean_start", "1 where the process before this one was killed or lost power, 0 where it stopped by itself.",
		func() float64 { return truth(s.unclean) })
	if s.writer != nil {
		s.metrics.Gauge("piccolo_backlog_batches", "Batches of this writer's partitions that are stored and not committed; -1 where that is unknown.",
			r.backlog(func(b *piccolo.Backlog) uint64 { return b.Batches }))
		s.metrics.Gauge("piccolo_backlog_messages", "Messages in the stream, with those that are retained; -1 where that is unknown.",
			r.backlog(func(b *piccolo.Backlog) uint64 { return b.Messages }))
		s.metrics.Gauge("piccolo_backlog_bytes", "Bytes of the messages in the stream; -1 where that is unknown.",
			r.backlog(func(b *piccolo.Backlog) uint64 { return b.Bytes }))
		s.metrics.Gauge("piccolo_stream_max_bytes", "What the stream may hold; 0 for as much as the server takes, -1 where that is unknown.",
			r.backlog(func(b *piccolo.Backlog) uint64 { return uint64(max(b.MaxBytes, 0)) }))
	}
	return r
}

// ready and backlog read the last report.
func (r *reporter) ready() float64 {
	last := r.last.Load()
	return truth(last != nil && last.Unready == "")
}

// truth is one as a gauge has it.
func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (r *reporter) backlog(read func(*piccolo.Backlog) uint64) func() float64 {
	return func() float64 {
		if last := r.last.Load(); last != nil && last.Writer.Backlog != nil {
			return float64(read(last.Writer.Backlog))
		}
		return -1
	}
}

// Execute reports until Interrupt is called.
func (r *reporter) Execute() error {
	var doubt atomic.Bool // whether another process knows another number of partitions
	unsubscribe, err := r.conn.Reports(r.id, func(report piccolo.Report) {
		r.deployment.Take(report)
		if report.Of != 0 && report.Of != r.partitions {
			doubt.Store(true)
		}
	})
	if err != nil {
		// No reason to stop counting: the page shows this process alone.
		r.log.Warn("the reports of other processes cannot be had", "error", err)
	} else {
		defer unsubscribe()
	}
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	connections := uint64(1) // on which the stream has been asked
	for {
		report := r.report(reportEvery)
		r.last.Store(report)
		r.deployment.Take(*report)
		if err := r.conn.Report(report); err != nil {
			r.log.Debug("a report was not sent", "error", err)
		}
		r.deployment.Tick(time.Now())
		if now := r.conn.Connections(); now != connections || doubt.Load() {
			known, err := r.samePartitions()
			if err != nil {
				return err
			}
			if known {
				connections = now
				doubt.Store(false)
			}
		}
		select {
		case <-tick.C:
		case <-r.stop:
			r.lastReport()
			return nil
		}
	}
}

// lastReport tells the others that this process ends, and why. What is counted
// in it is final: the group interrupts the reporter after those who count.
func (r *reporter) lastReport() {
	report := r.report(reportEvery / 4) // a stop waits for nobody who does not answer
	report.Ended = r.ended
	if err := r.conn.Report(report); err != nil {
		r.log.Debug("the last report was not sent", "error", err)
	}
}

// samePartitions asks the stream how many partitions it has. Another number than
// this process started with ends it: the stream has grown while nobody heard of
// this process, which would go on putting keys, and the tokens of retries, where
// nobody looks for them.
func (r *reporter) samePartitions() (known bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*reportEvery)
	defer cancel()
	n, err := r.conn.Partitions(ctx)
	if err != nil {
		r.log.Debug("how many partitions the stream has cannot be asked, trying again", "error", err)
		return false, nil
	}
	if n != r.partitions {
		return true, fmt.Errorf("the stream has %d partitions, and this process started when it had %d: it stops, start it again", n, r.partitions)
	}
	return true, nil
}

// Interrupt stops the actor. It tells of err, with which the first of the actors
// ended.
func (r *reporter) Interrupt(err error) {
	r.once.Do(func() {
		r.ended = "stopped"
		if err != nil {
			r.ended = failure(err)
		}
		close(r.stop)
	})
}

// report takes no longer than limit to find out how this process is.
func (r *reporter) report(limit time.Duration) *piccolo.Report {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	host, _ := os.Hostname()
	report := &piccolo.Report{
		ID: r.id, Role: r.role, Version: version(), Host: host, PID: os.Getpid(), Started: r.started, Admin: r.admin, Sync: r.sync,
		Of: r.partitions,
	}
	health := admin.Examine(ctx, r.checks)
	report.Unready, report.Warning = health.In(admin.Wrong), health.In(admin.Warning)
	report.Error, report.ErrorAt = r.errors.get()
	// What is last in the pipeline is read first: so what has been folded is
	// never more than what was published, nor that than what was accepted.
	if r.writer != nil {
		report.Writer = r.writerReport(ctx)
	}
	if r.ingress != nil {
		report.Ingress = r.ingressReport()
		report.API = apiURL(r.ingress)
	}
	report.At, report.Up = time.Now(), time.Since(r.started)
	return report
}

func (r *reporter) ingressReport() *piccolo.IngressReport {
	in := &piccolo.IngressReport{
		Producer: r.ingress.Producer, Published: r.ingress.Published(), Replies: make(map[string]uint64),
		Keys: r.ingress.Keys(), Reply: r.ingress.Replies().Times(),
	}
	r.ingress.Replies().Each(func(status int, ack string, n uint64) {
		if ack == "" {
			ack = strconv.Itoa(status)
		}
		in.Replies[ack] += n
	})
	r.metrics.ReportIngress(in)
	return in
}

func (r *reporter) writerReport(ctx context.Context) *piccolo.WriterReport {
	w := &piccolo.WriterReport{Partitions: r.writer.Partitions, WALBytes: r.store.WALBytes()}
	w.Folded = r.writer.Folded(r.deployment.Origins())
	w.Backlog = r.readBacklog(ctx)
	r.metrics.ReportWriter(w)
	r.values(ctx, w.Hottest)
	return w
}

// values reads the values of keys, where the database has them.
func (r *reporter) values(ctx context.Context, hottest []piccolo.Hot) {
	if len(hottest) == 0 {
		return
	}
	keys := make([]string, len(hottest))
	for i := range hottest {
		keys[i] = hottest[i].Key
	}
	numbers, err := r.store.Values(ctx, keys)
	if err != nil {
		return // they go without
	}
	at := make(map[string]int64, len(numbers))
	for _, n := range numbers {
		at[n.Key] = n.Value
	}
	for i := range hottest {
		if value, ok := at[hottest[i].Key]; ok {
			hottest[i].Value = &value
		}
	}
}

// readBacklog asks the stream about this writer's partitions, nil where it does
// not answer.
func (r *reporter) readBacklog(ctx context.Context) *piccolo.Backlog {
	b := new(piccolo.Backlog)
	for _, partition := range r.writer.Partitions {
		state, err := r.conn.State(ctx, partition)
		if err != nil {
			return nil
		}
		b.Batches += state.Pending + uint64(state.AckPending)
		b.Messages, b.Bytes, b.MaxBytes = state.Messages, state.Bytes, state.MaxBytes
	}
	return b
}
