package main

import (
	"fmt"

	"github.com/piccolo-counter/piccolo/client"
)

// setCmd makes a value the total of a key.
type setCmd struct {
	clientFlags `embed:"" set:"retry=30s"`

	Key   string `arg:"" help:"The key."`
	Value int64  `arg:"" help:"What its total becomes; may be negative."`
}

func (setCmd) Help() string {
	return `What was counted before is overwritten; what is counted after adds to the value. Where the API asks for tokens, it takes one with the role admin.

Examples:

    piccolo set visits 0
    piccolo set balance -5`
}

func (c *setCmd) Run(out output) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	ctx, stop := untilInterrupted()
	defer stop()
	counted, err := api.Set(ctx, c.Key, c.Value, client.WithAck(client.Applied))
	if err != nil {
		return c.explain(err)
	}
	return c.printChanged(out, counted, "set")
}

// printChanged says what holds: nothing on stdout but JSON, since there is
// nothing to find out.
func (f *clientFlags) printChanged(out output, counted client.Counted, done string) error {
	if f.JSON {
		return printLine(out.stdout, counted)
	}
	if counted.Ack != client.Applied {
		_, err := fmt.Fprintf(out.stderr, "%s (%s), readers see it later\n", done, counted.Ack)
		return err
	}
	return nil
}
