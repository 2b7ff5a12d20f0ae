package main

import (
	"context"
	"errors"
	"log/slog"
	"syscall"

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
	return errors.Join(c.ingressFlags.Validate(), c.natsFlags.Validate(), c.gearFlags.check(), c.traceFlags.check())
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

	s := newService(log, last, conn, c.stopFlags, c.dataFlags, unclean, partitions)
	s.reload = reload
	s.freshness = c.Freshness
	s.openTraces("ingress", &c.traceFlags)
	ingress, err := s.openIngress(ctx, &c.ingressFlags, c.dataFlags, partitions)
	if err != nil {
		return err
	}
	checks := s.checks(
		admin.Check{Name: "ingress", Err: ingress.Check},
		admin.Check{Name: "nats", Err: conn.Check},
	)
	page, reports, err := s.openAdmin("ingress", &c.adminFlags, checks...)
	if err != nil {
		return err
	}
	notifier, err := newNotifier(log)
	if err != nil {
		return err
	}
	notifier.checks, notifier.status = checks, s.ingressStatus()
	notifier.loops = []*loop{{name: "ingress", progress: ingress.Progress, patient: true}}
	g := newGroup(log)
	g.signals(syscall.SIGINT, syscall.SIGTERM)
	g.add("notifier", notifier)
	g.add("reload", reload)
	g.add("ingress", ingress)
	if s.traces != nil {
		g.add("traces", s.traces) // after what makes them
	}
	g.add("reports", reports)
	g.add("admin", page)
	log.Info("ready", "version", version(), "producer", ingress.Producer, "partitions", partitions,
		"api", apiURL(ingress), "admin", url("http", page.Addr()))
	return g.run(c.StopTimeout)
}
