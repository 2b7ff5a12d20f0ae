package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/client"
)

// incrCmd adds to a key, or to many.
type incrCmd struct {
	clientFlags `embed:"" set:"retry=30s"`

	Key string `arg:"" optional:"" help:"The key to add to."`
	N   int64  `arg:"" optional:"" default:"1" help:"What is added; may be negative." placeholder:"N"`

	Ack            string `help:"What to wait for: memory, stored or applied. Applied prints the total." enum:"memory,stored,applied" default:"applied" env:"-" placeholder:"MODE"`
	IdempotencyKey string `help:"Counts once, however often it is run with this name within a day." default:"" env:"-" placeholder:"NAME"`

	Stdin    bool   `help:"Read pairs from standard input, KEY VALUE or JSON a line." env:"-"`
	ResumeID string `name:"resume-id" help:"Names the input of --stdin: what was counted of it under this name is not counted again." default:"" env:"-" placeholder:"NAME"`
	Follow   bool   `help:"Count what --stdin has read so far once a second, as of tail -f. Such an input cannot be resumed." env:"-"`
}

func (c *incrCmd) Validate() error {
	switch {
	case c.Stdin && c.Key != "":
		return errors.New("--stdin reads the keys from standard input: KEY does not go with it")
	case !c.Stdin && c.Key == "":
		return errors.New(`expected "<key>", or --stdin`)
	case !c.Stdin && c.ResumeID != "":
		return errors.New("--resume-id names the input of --stdin, which is not there")
	case !c.Stdin && c.Follow:
		return errors.New("--follow is for --stdin, which is not there")
	case c.Follow && c.ResumeID != "":
		return errors.New("--follow and --resume-id: what is counted as it comes cannot be resumed, since nothing says what came together; give one of them")
	case c.Stdin && c.IdempotencyKey != "":
		return errors.New("--idempotency-key is for one increment: with --stdin use --resume-id")
	case c.IdempotencyKey != "":
		if err := piccolo.CheckIdempotencyKey(c.IdempotencyKey); err != nil {
			return fmt.Errorf("--idempotency-key %w", err)
		}
		return checkName("--idempotency-key", c.IdempotencyKey)
	}
	return checkResumeID(c.ResumeID)
}

func (incrCmd) Help() string {
	return `The key's new total is printed. An increment counts once, also where a reply is lost and it is sent again.

With --stdin a line is a key, a blank or tab, and a value, or the key alone for 1; or {"key":"visits","value":1}. What is read is sent in chunks of 10,000 lines or 512 KiB, the last when the input ends, each counted as a whole and once: lines of a slow pipe wait for each other, unless --follow has them counted every second.

After an interruption the same input, from its beginning, can be given again, with the --resume-id that was printed: it is counted to its end, and no line of it twice. That holds for as long as the service knows an idempotency key (--token-ttl of the writer, 24 hours), and for the very same lines: give no input that ended too early. Lines that are others than before stop it, for certain where --ack is applied, as it is by default.

Examples:

    piccolo incr visits
    piccolo incr balance -5
    cut -d ' ' -f 1 access.log | piccolo incr --stdin
    piccolo incr --stdin --resume-id import-7 < pairs.ndjson
    tail -f access.log | cut -d ' ' -f 1 | piccolo incr --stdin --follow`
}

func (c *incrCmd) Run(log *slog.Logger, out output) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	ctx, stop := untilInterrupted()
	defer stop()
	if c.Stdin {
		return c.stream(ctx, api, os.Stdin, log, out)
	}
	options := []client.CountOption{client.WithAck(client.Ack(c.Ack))}
	if c.IdempotencyKey != "" {
		options = append(options, client.WithIdempotencyKey(c.IdempotencyKey))
	}
	counted, err := api.Increment(ctx, c.Key, c.N, options...)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w before there was a reply: it may be counted or not; what was given an --idempotency-key can be run again", errInterrupted)
	}
	if err != nil {
		return c.explain(err)
	}
	return c.printCounted(out, counted)
}

// printCounted prints the total, where the reply has it.
func (c *incrCmd) printCounted(out output, counted client.Counted) error {
	if c.JSON {
		return printLine(out.stdout, counted)
	}
	if counted.Value == nil {
		_, err := fmt.Fprintf(out.stderr, "counted (%s), the total is not known yet\n", counted.Ack)
		return err
	}
	_, err := fmt.Fprintln(out.stdout, *counted.Value)
	return err
}
