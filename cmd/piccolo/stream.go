package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/piccolo-counter/piccolo/bus"
)

type streamCmd struct {
	Init        streamInitCmd        `cmd:"" help:"Make the stream that ingresses and writers meet in, or bring it to these settings."`
	Repartition streamRepartitionCmd `cmd:"" help:"Have the stream grow to more partitions, while nobody counts."`
	Move        streamMoveCmd        `cmd:"" help:"Move a partition, with its numbers, from one database to another."`
	Info        streamInfoCmd        `cmd:"" help:"Show what the stream holds, how far each writer is, and how it departs from what it should be."`
}

type streamInitCmd struct {
	natsFlags   `embed:""`
	streamFlags `embed:""`

	Replicas int `help:"On how many servers of the cluster the stream is kept." default:"1" placeholder:"N"`
}

// Validate is here since Go promotes none of two methods of the same name.
func (c *streamInitCmd) Validate() error {
	return errors.Join(c.natsFlags.Validate(), c.streamFlags.Validate())
}

func (c *streamInitCmd) Run(log *slog.Logger, out output) error {
	conn, err := c.connect("stream init", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = conn.Provision(ctx, bus.StreamOptions{
		Partitions: c.Partitions, MaxBytes: int64(c.StreamMaxBytes), Replicas: c.Replicas, Version: version(),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out.stdout, "stream %s: partitions %d, replicas %d, at most %s\n", bus.Stream, c.Partitions, c.Replicas, c.StreamMaxBytes)
	return err
}
