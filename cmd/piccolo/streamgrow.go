package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/internal/crashpoint"
)

type streamRepartitionCmd struct {
	natsFlags `embed:""`

	Partitions int `help:"How many there are to be: a multiple of what there are." required:"" placeholder:"N"`
}

// Run makes sure, as far as it can see, that nobody counts or folds meanwhile:
// an ingress that knows the old number puts a key's increments, and its tokens,
// where another does not look for them.
func (c *streamRepartitionCmd) Run(log *slog.Logger, out output) error {
	conn, err := c.connect("stream repartition", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := conn.CanGrow(ctx, c.Partitions); err != nil {
		return err
	}
	if err := allStopped(ctx, conn); err != nil {
		return err
	}
	before, err := conn.Grow(ctx, c.Partitions)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out.stdout, "stream %s: partitions %d, before %d; start writers and ingresses again\n", bus.Stream, c.Partitions, before)
	return err
}

// listening is for how long the reports of processes are waited for, which come
// once a second.
const listening = 2500 * time.Millisecond

// allStopped says who still runs, or that it could not hear.
func allStopped(ctx context.Context, conn *bus.Bus) error {
	connections := conn.Connections()
	var mu sync.Mutex
	running := make(map[string]bool)
	stop, err := conn.Reports("", func(r piccolo.Report) {
		mu.Lock()
		defer mu.Unlock()
		running[fmt.Sprintf("%s on %s (process %d)", r.Role, r.Host, r.PID)] = true
	})
	if err != nil {
		return err
	}
	select {
	case <-time.After(listening):
	case <-ctx.Done():
	}
	stop()
	if err := conn.Check(ctx); err != nil {
		return err
	}
	if conn.Connections() != connections {
		return errors.New("the connection to NATS was lost while it was listened who still runs: give the command again")
	}
	partitions, err := conn.Partitions(ctx)
	if err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	for p := range partitions {
		_, _, served, err := conn.Owner(ctx, p)
		if err != nil {
			return err
		}
		if served && len(running) == 0 {
			running[fmt.Sprintf("a writer of partition %d", p)] = true
		}
	}
	if len(running) == 0 {
		return nil
	}
	names := make([]string, 0, len(running))
	for name := range running {
		names = append(names, name)
	}
	slices.Sort(names)
	return fmt.Errorf("the number of partitions changes only while nobody counts: stop %s", strings.Join(names, ", "))
}

type streamMoveCmd struct {
	natsFlags `embed:""`

	Partition int    `help:"The partition." required:"" placeholder:"N"`
	From      string `help:"The database that it belongs to." required:"" type:"existingfile" placeholder:"PATH"`
	To        string `help:"The database that it is to belong to, made where there is none." required:"" type:"path" placeholder:"PATH"`
}

// Validate refuses a move to the same database, whose lock this process would
// find taken by itself.
func (c *streamMoveCmd) Validate() error {
	from, noFrom := os.Stat(c.From)
	to, noTo := os.Stat(c.To)
	if noFrom == nil && noTo == nil && os.SameFile(from, to) {
		return fmt.Errorf("--from and --to are the same database, %s: name with --to the one that is to have the partition", c.From)
	}
	return c.natsFlags.Validate()
}

// Run copies, tells the stream, and removes, in this order: after a crash at any
// point the same command goes on.
func (c *streamMoveCmd) Run(log *slog.Logger, out output) (err error) {
	ctx := context.Background()
	from, release, err := openDatabase(ctx, c.From, log, nil)
	if err != nil {
		return err
	}
	defer release()
	to, release, err := openDatabase(ctx, c.To, log, nil)
	if err != nil {
		return err
	}
	defer release()
	conn, err := c.connect("stream move", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	asking, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	partitions, err := conn.Partitions(asking)
	if err != nil {
		return err
	}
	if c.Partition < 0 || c.Partition >= partitions {
		return fmt.Errorf("--partition %d: the stream has %d partitions, numbered from 0", c.Partition, partitions)
	}
	if err := errors.Join(from.SetPartitions(ctx, partitions), to.SetPartitions(ctx, partitions)); err != nil {
		return err
	}
	database, move, served, err := conn.Owner(asking, c.Partition)
	if err != nil {
		return err
	}
	moves, err := from.Moves(ctx)
	if err != nil {
		return err
	}
	done := fmt.Sprintf("partition %d belonged to %s already, by an earlier try; %s has nothing of it left", c.Partition, c.To, c.From)
	switch {
	case served:
		return fmt.Errorf("a writer serves partition %d: stop it first", c.Partition)
	case database == to.ID(): // by a try that was cut off
	case database == from.ID():
		if err := bus.CheckMoved(moves, c.Partition, database, move); err != nil {
			return fmt.Errorf("%s: %w", c.From, err)
		}
		move = piccolo.NewProducer() // as random as that
		numbers, err := to.Receive(ctx, from, move, c.Partition, partitions)
		if err != nil {
			return err
		}
		done = fmt.Sprintf("partition %d belongs to %s now, with %d numbers", c.Partition, c.To, numbers)
		crashpoint.Here("move.received")
		asking, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := conn.Assign(asking, c.Partition, to.ID(), move); err != nil {
			return err
		}
		crashpoint.Here("move.assigned")
	case database == "":
		return fmt.Errorf("partition %d belongs to no database yet: start its writer with the one it is to have", c.Partition)
	default:
		return fmt.Errorf("partition %d belongs to database %s; %s is %s, and %s is %s", c.Partition, database, c.From, from.ID(), c.To, to.ID())
	}
	if err := from.Forget(ctx, to, move, c.Partition, partitions); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out.stdout, "%s\nback up both databases now: a backup from before the move cannot be restored for what moved\n", done)
	return err
}
