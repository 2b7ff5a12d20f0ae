package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

type streamCmd struct {
	Init        streamInitCmd        `cmd:"" help:"Make the stream that ingresses and writers meet in, or bring it to these settings."`
	Repartition streamRepartitionCmd `cmd:"" help:"Have the stream grow to more partitions, while nobody counts."`
	Move        streamMoveCmd        `cmd:"" help:"Move a partition, with its numbers, from one database to another."`
	Info        streamInfoCmd        `cmd:"" help:"Show what the stream holds, how far each writer is, and how it departs from what it should be."`
}

type streamInitCmd struct {
	natsFlags `embed:""`

	// Those that are not given are nil.
	Partitions     *int      `help:"Slices of the key space, each with its own writer: 1 where there is no stream yet. Of one that exists, only piccolo stream repartition changes it." placeholder:"N"`
	Replicas       *int      `help:"On how many servers of the cluster the stream is kept: 1 where there is none yet, else as many as before." placeholder:"N"`
	StreamMaxBytes *byteSize `help:"What the stream may hold, in bytes or as in 1GiB, above which the API says 503: 1GiB where there is none yet, else as much as before." placeholder:"B"`
}

// Validate is here since Go promotes none of two methods of the same name.
func (c *streamInitCmd) Validate() error {
	switch {
	case c.Partitions != nil && (*c.Partitions < 1 || *c.Partitions > piccolo.MaxPartitions):
		return errPartitions
	case c.Replicas != nil && *c.Replicas < 1:
		return errors.New("--replicas must be at least 1")
	case c.StreamMaxBytes != nil && *c.StreamMaxBytes < minStream:
		return errStreamMaxBytes
	}
	return c.natsFlags.Validate()
}

// initTimeout leaves the servers of a cluster that have just started the time to
// elect a leader.
const initTimeout = 30 * time.Second

func (c *streamInitCmd) Run(log *slog.Logger, out output) error {
	conn, err := c.connect("stream init", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), initTimeout)
	defer cancel()
	p, err := conn.Provision(ctx, bus.StreamOptions{
		Partitions: given(c.Partitions), MaxBytes: int64(given(c.StreamMaxBytes)), Replicas: given(c.Replicas), Version: version(),
	})
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "stream %s: partitions %d, replicas %d, at most %s\n", bus.Stream, p.Partitions, p.Replicas, byteSize(p.MaxBytes))
	for _, change := range p.Changed {
		fmt.Fprintf(&text, "changed: %s from %s to %s\n", change.Setting, change.From, change.To)
	}
	_, err = io.WriteString(out.stdout, text.String())
	return err
}

// given is the value of a flag that may have none, 0 then.
func given[T any](flag *T) (value T) {
	if flag != nil {
		value = *flag
	}
	return value
}
