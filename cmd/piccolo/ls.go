package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/piccolo-counter/piccolo/client"
)

// lsCmd lists numbers.
type lsCmd struct {
	clientFlags `embed:"" set:"retry=0s"`

	Prefix string `help:"Only keys that start with it." default:"" placeholder:"TEXT"`
	Top    int    `help:"The N largest only, at most 1000, the largest first." default:"0" placeholder:"N"`
}

func (c *lsCmd) Validate() error {
	if c.Top < 0 || c.Top > 1000 {
		return errors.New("--top must be from 1 to 1000")
	}
	return nil
}

func (lsCmd) Help() string {
	return `Prints KEY, a tab and the value, a line each, in the order of the keys.

Examples:

    piccolo ls
    piccolo ls --prefix user: --top 10
    piccolo ls --json > numbers.ndjson`
}

func (c *lsCmd) Run(out output) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	ctx, stop := untilInterrupted()
	defer stop()
	w := bufio.NewWriter(out.stdout)
	if c.Top > 0 {
		top, err := api.Top(ctx, c.Prefix, c.Top)
		if err != nil {
			return c.explain(err)
		}
		for _, n := range top.Numbers {
			if err := printNumber(w, n, c.JSON); err != nil {
				return err
			}
		}
		if err := w.Flush(); err != nil || !top.More {
			return err
		}
		_, err = fmt.Fprintf(out.stderr, "these are the %d largest; the keys are too long for more in one list\n", len(top.Numbers))
		return err
	}
	var n client.Number
	for n, err = range api.List(ctx, c.Prefix) {
		if err != nil {
			break
		}
		if err := printNumber(w, n, c.JSON); err != nil {
			return err // whoever reads it has enough
		}
	}
	if flushed := w.Flush(); err == nil {
		err = flushed
	}
	return c.explain(err)
}
