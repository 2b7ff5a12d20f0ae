package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/piccolo-counter/piccolo/bus"
)

// backlogCmd says how far the writers are behind the stream.
type backlogCmd struct {
	natsFlags `embed:""`

	Sample time.Duration `help:"How long it is watched, to tell when it will be empty; 0 to not watch." default:"1s" placeholder:"D"`
	JSON   bool          `name:"json" help:"Print JSON."`
}

// backlog is what is stored and not yet committed. The oldest and the time to
// drain are null where there is nothing, or nothing can be told.
type backlog struct {
	Messages      uint64             `json:"messages"`
	Bytes         uint64             `json:"bytes"`
	OldestSeconds *float64           `json:"oldest_seconds"`
	RatePerSecond float64            `json:"rate_per_second"` // by which it grows, negative as it shrinks
	DrainSeconds  *float64           `json:"drain_seconds"`
	Retained      uint64             `json:"retained"` // messages committed and kept for replay
	Partitions    []backlogPartition `json:"partitions"`
	NATS          []string           `json:"nats"` // commands that show the same
}

type backlogPartition struct {
	Partition     int      `json:"partition"`
	Messages      uint64   `json:"messages"`
	OldestSeconds *float64 `json:"oldest_seconds"`
	Writer        bool     `json:"writer"` // one is reading
}

func (c *backlogCmd) Run(log *slog.Logger, out output) error {
	conn, err := c.connect("backlog", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout+c.Sample)
	defer cancel()
	b, err := readBacklog(ctx, conn, c.Sample)
	if err != nil {
		return err
	}
	for i, rest := range b.NATS {
		b.NATS[i] = c.natsCommand() + " " + rest
	}
	if c.JSON {
		return printJSON(out.stdout, b)
	}
	return b.print(out.stdout)
}

// readBacklog looks at the backlog twice, a sample apart, unless there is none.
func readBacklog(ctx context.Context, conn *bus.Bus, sample time.Duration) (*backlog, error) {
	before, err := conn.Inspect(ctx)
	if err != nil {
		return nil, err
	}
	now := before
	if total(before) > 0 && sample > 0 {
		select {
		case <-time.After(sample):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if now, err = conn.Inspect(ctx); err != nil {
			return nil, err
		}
	}
	b := &backlog{Messages: total(now), Partitions: []backlogPartition{}, NATS: []string{"stream info " + bus.Stream}}
	b.Retained = now.Messages - min(b.Messages, now.Messages)
	if now.Messages > 0 {
		// What is retained is as large as the rest, for all that is known.
		b.Bytes = uint64(float64(now.Bytes) * float64(min(b.Messages, now.Messages)) / float64(now.Messages))
	}
	oldest, err := conn.Oldest(ctx, now)
	if err != nil {
		return nil, err
	}
	for i, c := range now.Consumers {
		p := backlogPartition{Partition: c.Partition, Messages: c.Backlog(), Writer: c.Waiting > 0}
		if !oldest[i].IsZero() { // it may have been committed meanwhile
			age := max(time.Since(oldest[i]).Seconds(), 0)
			p.OldestSeconds = &age
			if b.OldestSeconds == nil || age > *b.OldestSeconds {
				b.OldestSeconds = &age
			}
		}
		b.Partitions = append(b.Partitions, p)
		b.NATS = append(b.NATS, fmt.Sprintf("consumer info %s %s", bus.Stream, c.Name))
	}
	if between := now.Now.Sub(before.Now); between > 0 {
		b.RatePerSecond = (float64(b.Messages) - float64(total(before))) / between.Seconds()
	}
	switch {
	case b.Messages == 0:
		b.DrainSeconds = new(float64)
	case b.RatePerSecond < 0:
		drain := float64(b.Messages) / -b.RatePerSecond
		b.DrainSeconds = &drain
	}
	return b, nil
}

// total is the backlog of all partitions, in messages.
func total(i *bus.Inspection) (n uint64) {
	for j := range i.Consumers {
		n += i.Consumers[j].Backlog()
	}
	return n
}

func (b *backlog) print(out io.Writer) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "backlog\t%s, %s\n", plural(b.Messages, "message", "messages"), bytesText(b.Bytes))
	if b.OldestSeconds != nil {
		fmt.Fprintf(w, "oldest\t%s old\n", ageText(seconds(*b.OldestSeconds)))
	}
	fmt.Fprintf(w, "empty\t%s\n", b.drainText())
	if b.Retained > 0 {
		fmt.Fprintf(w, "retained\t%s, committed and kept for replay\n", plural(b.Retained, "message", "messages"))
	}
	for _, p := range b.Partitions {
		state := ""
		if !p.Writer && p.Messages > 0 {
			state = ", and no writer is reading: start one with piccolo writer"
		}
		if len(b.Partitions) > 1 || state != "" {
			fmt.Fprintf(w, "partition %d\t%s%s\n", p.Partition, plural(p.Messages, "message", "messages"), state)
		}
	}
	_ = w.Flush()
	fmt.Fprintf(&text, "\nThe same from the nats command: %s\n", strings.Join(b.NATS, "; "))
	_, err := io.WriteString(out, text.String())
	return err
}

func (b *backlog) drainText() string {
	switch {
	case b.Messages == 0:
		return "now"
	case b.DrainSeconds != nil:
		return fmt.Sprintf("in about %s, at this rate of %.0f a second", ageText(seconds(*b.DrainSeconds)), -b.RatePerSecond)
	case b.RatePerSecond > 0:
		return fmt.Sprintf("never at this rate: it grows by %.0f messages a second", b.RatePerSecond)
	}
	return "cannot be told: it does not shrink"
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
