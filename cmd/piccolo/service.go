package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
	"github.com/piccolo-counter/piccolo/actors/ingress"
	"github.com/piccolo-counter/piccolo/actors/writer"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/otlp"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// setting says what a service is of. Every field is needed, but for sync.
type setting struct {
	role       string
	log        *slog.Logger
	errors     *lastError
	conn       *bus.Bus
	reload     *reloader
	dir        string // the data directory
	unclean    bool   // the process before this one on it was killed
	partitions int    // of the stream
	grewFrom   int    // partitions; 0 where it has not grown, or does not matter
	freshness  time.Duration
	sync       string // of the NATS server inside, where there is one
	stop       stopFlags
	traces     traceFlags
}

// service is what the actors of a process share. Its methods make them, alike
// in every command.
type service struct {
	setting
	id         string // of the process, in its reports
	started    time.Time
	metrics    *pulse
	deployment *admin.Deployment
	last       atomic.Pointer[piccolo.Report] // of this process
	tracer     *otlp.Exporter                 // nil where there are no traces

	ingress *ingress.Ingress // nil in a writer
	writer  *writer.Writer   // nil in an ingress
	store   *sqlite.Store    // with the writer
}

// newService makes a service of what every process has.
func newService(of setting) *service {
	s := &service{
		setting: of, id: piccolo.NewProducer(), started: time.Now(), metrics: newPulse(), deployment: admin.NewDeployment(),
	}
	if of.traces.OTLP != "" {
		s.tracer = otlp.New(of.traces.OTLP, otlp.Resource{Version: version(), Instance: s.id, Role: of.role}, s.log.With("actor", "traces"))
		s.metrics.Counter("piccolo_dropped_spans_total", "Spans that could not be delivered to the collector of traces.", s.tracer.Dropped)
	}
	return s
}

// ownFor has the partitions that conn subscribes to belong to the database.
func ownFor(ctx context.Context, conn *bus.Bus, store *sqlite.Store, adopt bool) error {
	moves, err := store.Moves(ctx)
	if err != nil {
		return err
	}
	conn.Own(store.ID(), adopt)
	conn.Received(moves)
	return nil
}

// openDatabase opens a database for this process alone to write. Where another
// does, it waits, if wait is not nil.
func openDatabase(ctx context.Context, path string, log *slog.Logger, wait *standby) (store *sqlite.Store, release func(), err error) {
	unlock, err := lockDatabase(path, wait)
	if err != nil {
		return nil, nil, err
	}
	store, err = sqlite.Open(ctx, path)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return store, func() {
		closeLogged(log, "database", store)
		unlock()
	}, nil
}

// openIngress makes an ingress actor that listens already.
func (s *service) openIngress(ctx context.Context, f *ingressFlags) (*ingress.Ingress, error) {
	maxMessage, err := s.conn.MaxMessage(ctx)
	if err != nil {
		return nil, err
	}
	tokens, certificate, err := s.openAccess(&f.accessFlags)
	if err != nil {
		return nil, err
	}
	l, err := listenAPI(s.log, f.Listen)
	if err != nil {
		return nil, err
	}
	c := ingress.Config{
		Listener:      l,
		TLS:           certificate,
		Tokens:        tokens,
		Producer:      piccolo.NewProducer(),
		Partitions:    s.partitions,
		Stream:        s.conn,
		MaxMessage:    maxMessage,
		Reader:        s.conn,
		Observer:      s.metrics,
		Log:           s.log.With("actor", "ingress"),
		Spool:         filepath.Join(s.dir, "spool"),
		Ack:           f.Ack,
		AckTimeout:    f.AckTimeout,
		FlushInterval: f.FlushInterval,
		Freshness:     s.freshness,
		DrainTimeout:  s.stop.drain(),
		MaxKeys:       f.MaxKeys,
		MaxBody:       int(f.MaxBody),
		MaxKeyBytes:   f.MaxKeyBytes,
		MaxWatchers:   f.MaxWatchers,
	}
	if s.tracer != nil {
		c.Tracer = s.tracer
	}
	in, err := ingress.New(c)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if _, err := s.conn.Applied(in.Producer, in.Applied); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	warnOpen(s.log, in)
	s.metrics.Replies(in.Replies().Each)
	s.ingress = in
	s.metrics.Spread("piccolo_reply_seconds", "From an increment's request read to its reply made, of one reply in eight.", in.Replies().Times)
	s.metrics.Counter("piccolo_accepted_increments_total", "Increments that were counted.", func() (n uint64) {
		for _, p := range in.Published() {
			n += p.Accepted
		}
		return n
	})
	s.metrics.Gauge("piccolo_spooled_batches", "Batches in the spool, which a stop could not have stored; -1 where that is unknown.",
		func() float64 { return float64(in.Spooled()) })
	s.metrics.Gauge("piccolo_keys", "Distinct keys that the ingress keeps in memory.",
		func() float64 { return float64(in.Keys()) })
	return in, nil
}

// queryVersion is that of the query service's protocol, in semver as NATS
// wants it.
const queryVersion = "1.0.0"

// openWriter makes a writer actor that is subscribed already, and has it answer
// queries. provision, where it is not nil, makes a stream that was deleted.
func (s *service) openWriter(ctx context.Context, f *writerFlags, store *sqlite.Store, partitions []int, provision func(context.Context) error) (*writer.Writer, error) {
	c := writer.Config{
		Partitions:   partitions,
		Of:           s.partitions,
		GrewFrom:     s.grewFrom,
		Stream:       s.conn,
		Store:        store,
		Observer:     s.metrics,
		Log:          s.log.With("actor", "writer"),
		Freshness:    s.freshness,
		Retain:       f.Retain,
		TokenTTL:     f.TokenTTL,
		DrainTimeout: s.stop.drain(),
		Provision:    provision,
	}
	if provision != nil { // the server is in this process
		c.Silence = time.Minute
	}
	if s.tracer != nil {
		c.Tracer = s.tracer
	}
	w, err := writer.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, partition := range partitions {
		if _, err := s.conn.Serve(partition, queryVersion, w.Answer); err != nil {
			w.Close()
			return nil, err
		}
	}
	s.metrics.Counter("piccolo_fetched_messages_total", "Messages that the writer took up, with those that came again.", w.Fetched)
	s.metrics.Counter("piccolo_acked_messages_total", "Messages that the writer acked, after the commit.", w.Acked)
	s.metrics.Counter("piccolo_trims_total", "Times the writer removed committed batches from the stream.", w.Trims)
	s.metrics.Gauge("piccolo_quarantined_keys", "Keys whose total is beyond int64: what does not fit is held in the quarantine.",
		func() float64 { return float64(store.Quarantined()) })
	s.metrics.Gauge("piccolo_backlog_oldest_seconds", "How long ago the oldest increment was accepted that has been fetched and not committed; 0 where there is none.",
		func() float64 { return w.Behind().Seconds() })
	s.metrics.Gauge("piccolo_wal_bytes", "Size of SQLite's write-ahead log.",
		func() float64 { return float64(store.WALBytes()) })
	s.writer, s.store = w, store
	return w, nil
}

// allPartitions are the partitions of a writer that owns them all.
func allPartitions(n int) (partitions []int) {
	for partition := range n {
		partitions = append(partitions, partition)
	}
	return partitions
}
