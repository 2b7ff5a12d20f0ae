package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/piccolo-counter/piccolo/bus"
)

// toolTimeout bounds what a command asks of a server.
const toolTimeout = 10 * time.Second

type streamInfoCmd struct {
	natsFlags `embed:""`

	JSON bool `name:"json" help:"Print JSON."`
}

func (c *streamInfoCmd) Run(log *slog.Logger, out output) error {
	conn, err := c.connect("stream info", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout)
	defer cancel()
	i, err := conn.Inspect(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out.stdout, i)
	}
	_, err = fmt.Fprint(out.stdout, streamText(i, time.Now()))
	return err
}

func streamText(i *bus.Inspection, now time.Time) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	limit := ", no limit"
	if i.MaxBytes > 0 {
		limit = fmt.Sprintf(" of %s (%.1f %% full)", bytesText(i.MaxBytes), 100*float64(i.Bytes)/float64(i.MaxBytes))
	}
	fmt.Fprintf(w, "stream\t%s, created %s by piccolo %s\n", i.Name, i.Created.UTC().Format(time.RFC3339), i.Version)
	fmt.Fprintf(w, "partitions\t%d\n", i.Partitions)
	fmt.Fprintf(w, "replicas\t%d\n", i.Replicas)
	fmt.Fprintf(w, "holds\t%s, %s%s\n", plural(i.Messages, "message", "messages"), bytesText(i.Bytes), limit)
	fmt.Fprintf(w, "StreamSeq\t%d to %d, %d deleted between\n", i.FirstSeq, i.LastSeq, i.Deleted)
	_ = w.Flush()
	fmt.Fprintf(&b, "\n")
	w = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "partition\tconsumer\tacked to\tbacklog\tin a writer's hands\tredelivered\twriter\n")
	for _, c := range i.Consumers {
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%d\t%d\t%s\n", c.Partition, c.Name, c.AckFloor, grouped(c.Backlog()), c.AckPending, c.Redelivered, writerText(c, now))
	}
	_ = w.Flush()
	for _, d := range i.Departs {
		fmt.Fprintf(&b, "\nwarning: %s\n", d)
	}
	return b.String()
}

func writerText(c bus.InspectedConsumer, now time.Time) string {
	switch {
	case !c.Exists:
		return "never was one"
	case c.Waiting > 0:
		return "reading"
	case c.LastActive.IsZero():
		return "none"
	}
	return "none for " + ageText(now.Sub(c.LastActive))
}
