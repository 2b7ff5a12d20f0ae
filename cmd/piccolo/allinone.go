package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/piccolo-counter/piccolo/actors/admin"
	"github.com/piccolo-counter/piccolo/bus"
)

// allInOneCmd runs the whole pipeline in one process:
//
//	 clients                                            anyone
//	    │ POST /increment                                  ▲ select * from numbers
//	    ▼                                                  │
//	┌─ingress──────────────────┐                  ┌─writer─┴──────────┐
//	│ reducer ──► flusher      │                  │ fold ──► SQLite   │
//	└───────────────│──────────┘                  └──▲─────│──────────┘
//	        publish │  ▲ PubAck, applied             │     │ ack, trim,
//	                ▼  │                       fetch │     ▼ applied
//	┌─embedded NATS server─────────────────────────────────────────────┐
//	│ JetStream stream PICCOLO, every write fsynced                    │
//	└──────────────────────────────────────────────────────────────────┘
//
// Ingress and writer meet in the stream only, so that the same actors run as
// processes of their own around a NATS cluster.
type allInOneCmd struct {
	dataFlags    `embed:""`
	ingressFlags `embed:""`
	writerFlags  `embed:""`
	gearFlags    `embed:""`
	streamFlags  `embed:""`
	adminFlags   `embed:""`
	stopFlags    `embed:""`
	traceFlags   `embed:""`

	NATSListen string `name:"nats-listen" help:"Address of the embedded NATS server; off for this process only, so that piccolo top, backlog, verify and stream cannot look at it." default:"127.0.0.1:4222" placeholder:"ADDR"`
	Sync       string `help:"When the stream is fsynced: always, before every acknowledgement; or at an interval, which loses increments in a power cut." enum:"always,interval" default:"always" placeholder:"MODE"`
}

// Validate is here since Go promotes none of two methods of the same name.
func (c *allInOneCmd) Validate() error {
	var nats error
	if c.NATSListen != "off" {
		nats = checkListen("--nats-listen", c.NATSListen)
	}
	return errors.Join(nats, c.ingressFlags.Validate(), c.writerFlags.Validate(), c.streamFlags.Validate(), c.gearFlags.Validate(), c.traceFlags.Validate(), c.adminFlags.check(), c.stopFlags.Validate())
}

func (c *allInOneCmd) Run(log *slog.Logger, last *lastError, out output) (err error) {
	start := time.Now()
	ctx := context.Background()
	reload := newReloader(log)

	// What the actors share is opened before any of them runs and closed when
	// none does any more: oklog/run promises no order in which they end.
	unlock, err := lockDir(c.Data)
	if err != nil {
		return err
	}
	defer unlock()
	unclean, stopped := markRunning(c.Data, log)
	defer func() { stopped(err) }()

	store, release, err := openDatabase(ctx, c.dbPath(c.dataFlags), log, nil)
	if err != nil {
		return err
	}
	defer release()

	server, err := bus.StartServer(bus.ServerOptions{
		Dir:      c.store(),
		Listen:   c.NATSListen,
		Lazy:     c.Sync == "interval",
		MaxBytes: int64(c.StreamMaxBytes),
		Log:      log,
	})
	if err != nil {
		return err
	}
	defer server.Shutdown()

	conn, err := server.Connect("piccolo all-in-one", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	provision := func(ctx context.Context) error {
		p, err := conn.Provision(ctx, bus.StreamOptions{
			Partitions: c.Partitions, MaxBytes: int64(c.StreamMaxBytes), Version: version(),
		})
		if err != nil {
			return err
		}
		for _, change := range p.Changed {
			log.Info("the stream has changed", "setting", change.Setting, "from", change.From, "to", change.To)
		}
		return nil
	}
	if err := provision(ctx); err != nil {
		return err
	}

	if err := store.SetPartitions(ctx, c.Partitions); err != nil {
		return err
	}
	if err := ownFor(ctx, conn, store, true); err != nil { // the stream is this process's own, too
		return err
	}
	s := newService(setting{
		role: "all-in-one", log: log, errors: last, conn: conn, reload: reload, dir: c.Data, unclean: unclean,
		partitions: c.Partitions, freshness: c.Freshness, sync: c.Sync, stop: c.stopFlags, traces: c.traceFlags,
	})
	writer, err := s.openWriter(ctx, &c.writerFlags, store, allPartitions(c.Partitions), provision)
	if err != nil {
		return err
	}
	defer writer.Close()
	ingress, err := s.openIngress(ctx, &c.ingressFlags)
	if err != nil {
		return err
	}
	full := func() error { return fullDisk(c.Data, c.store()) }
	frame, err := s.openFrame(&c.adminFlags, s.writerStatus(), []*loop{
		{name: "ingress", progress: ingress.Progress, excuse: full},
		{name: "writer", progress: one(writer.Progress)},
	},
		admin.Check{Name: "ingress", Err: ingress.Check},
		admin.Check{Name: "spool", Err: ingress.CheckSpool, Warns: true},
		admin.Check{Name: "writer", Err: writer.Check},
		admin.Check{Name: "nats", Err: server.Check},
	)
	if err != nil {
		return err
	}

	greeting{
		api: apiURL(ingress), tokens: ingress.Tokens != nil, admin: frame.page.Addr(), db: store.Path(), nats: server.URL(), took: time.Since(start),
	}.print(out.stderr)
	log.Info("ready", "version", version(), "producer", ingress.Producer, "api", apiURL(ingress), "took", time.Since(start).Round(time.Millisecond))

	// The first actor to end ends all, one after the other in this order: what
	// the ingress has counted is in the stream before the writer stops, and in
	// the database before the process ends.
	return frame.run(
		named{"nats", newLookout(server.Check).excusing(full, log)},
		named{"database", newLookout(store.Check)},
		named{"ingress", ingress},
		named{"writer", writer},
	)
}
