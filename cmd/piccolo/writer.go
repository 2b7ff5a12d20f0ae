package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/piccolo-counter/piccolo/actors/admin"
)

// writerCmd runs a writer alone, which folds the partitions it owns into its
// database:
//
//	stream PICCOLO ──► writer ──► SQLite
//	               ◄── ack, trim, applied, answers to queries
type writerCmd struct {
	dataFlags   `embed:""`
	writerFlags `embed:""`
	gearFlags   `embed:""`
	natsFlags   `embed:""`
	adminFlags  `embed:"" set:"admin=127.0.0.1:3335"`
	stopFlags   `embed:""`
	traceFlags  `embed:""`

	Standby   bool   `help:"Where another process writes the database, wait until it ends, and take over."`
	Partition string `help:"The partitions that this writer owns, as in 0,2-3; all where it is not given." placeholder:"LIST"`
}

// Validate is here since Go promotes none of two methods of the same name.
func (c *writerCmd) Validate() error {
	_, partitions := parsePartitions(c.Partition)
	return errors.Join(partitions, c.writerFlags.Validate(), c.natsFlags.Validate(), c.gearFlags.Validate(), c.traceFlags.Validate(), c.adminFlags.check(), c.stopFlags.Validate())
}

func (c *writerCmd) Run(log *slog.Logger, last *lastError) (err error) {
	reload := newReloader(log) // a writer has nothing to reload, and SIGHUP is no reason to die
	ctx := context.Background()
	var wait *standby
	if c.Standby {
		wait = newStandby(log)
		defer wait.over()
	}
	unlock, err := lockDirWaiting(c.Data, wait)
	if err != nil {
		return err
	}
	defer unlock()
	unclean, stopped := markRunning(c.Data, log)
	defer func() { stopped(err) }()
	store, release, err := openDatabase(ctx, c.dbPath(c.dataFlags), log, wait)
	if err != nil {
		return err
	}
	defer release()
	conn, err := c.natsFlags.connect("writer", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	count, err := conn.Partitions(ctx)
	if err != nil {
		return err
	}
	grewFrom, err := conn.GrewFrom(ctx)
	if err != nil {
		return err
	}
	if err := store.SetPartitions(ctx, count); err != nil {
		return err
	}
	owned, err := ownedPartitions(c.Partition, count)
	if err != nil {
		return err
	}

	if err := ownFor(ctx, conn, store, false); err != nil {
		return err
	}
	s := newService(setting{
		role: "writer", log: log, errors: last, conn: conn, reload: reload, dir: c.Data, unclean: unclean,
		partitions: count, grewFrom: grewFrom, freshness: c.Freshness, stop: c.stopFlags, traces: c.traceFlags,
	})
	writer, err := s.openWriter(ctx, &c.writerFlags, store, owned, nil)
	if err != nil {
		return err
	}
	defer writer.Close()
	frame, err := s.openFrame(&c.adminFlags, s.writerStatus(), []*loop{
		{name: "writer", progress: one(writer.Progress)},
	},
		admin.Check{Name: "writer", Err: writer.Check},
		admin.Check{Name: "nats", Err: conn.Check},
	)
	if err != nil {
		return err
	}
	frame.notifier.standby = wait
	log.Info("ready", "version", version(), "partitions", owned, "database", store.Path(), "admin", url("http", frame.page.Addr()))
	return frame.run(
		named{"database", newLookout(store.Check)},
		named{"writer", writer},
	)
}
