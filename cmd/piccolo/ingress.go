package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/piccolo-counter/piccolo/actors/admin"
)

// ingressCmd runs an ingress alone, one of any number around a NATS cluster:
//
//	clients ──► ingress ──► stream PICCOLO ──► writers
//	        ◄── reply ◄──── PubAck, applied ◄──┘
type ingressCmd struct {
	dataFlags    `embed:""`
	ingressFlags `embed:""`
	gearFlags    `embed:""`
	natsFlags    `embed:""`
	adminFlags   `embed:""`
	stopFlags    `embed:""`
	traceFlags   `embed:""`
}

// Validate is here since Go promotes none of two methods of the same name.
func (c *ingressCmd) Validate() error {
	return errors.Join(c.ingressFlags.Validate(), c.natsFlags.Validate(), c.gearFlags.Validate(), c.traceFlags.Validate(), c.adminFlags.check(), c.stopFlags.Validate())
}

func (c *ingressCmd) Run(log *slog.Logger, last *lastError) (err error) {
	reload := newReloader(log)
	unlock, err := lockDir(c.Data)
	if err != nil {
		return err
	}
	defer unlock()
	unclean, stopped := markRunning(c.Data, log)
	defer func() { stopped(err) }()
	conn, err := c.natsFlags.connect("ingress", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx := context.Background()
	partitions, err := conn.Partitions(ctx)
	if err != nil {
		return err
	}

	s := newService(setting{
		role: "ingress", log: log, errors: last, conn: conn, reload: reload, dir: c.Data, unclean: unclean,
		partitions: partitions, freshness: c.Freshness, stop: c.stopFlags, traces: c.traceFlags,
	})
	ingress, err := s.openIngress(ctx, &c.ingressFlags)
	if err != nil {
		return err
	}
	frame, err := s.openFrame(&c.adminFlags, s.ingressStatus(), []*loop{
		{name: "ingress", progress: ingress.Progress, patient: true},
	},
		admin.Check{Name: "ingress", Err: ingress.Check},
		admin.Check{Name: "spool", Err: ingress.CheckSpool, Warns: true},
		admin.Check{Name: "nats", Err: conn.Check},
	)
	if err != nil {
		return err
	}
	log.Info("ready", "version", version(), "producer", ingress.Producer, "partitions", partitions,
		"api", apiURL(ingress), "admin", url("http", frame.page.Addr()))
	return frame.run(named{"ingress", ingress})
}
