package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/piccolo-counter/piccolo/client"
)

// getCmd reads some keys.
type getCmd struct {
	clientFlags `embed:"" set:"retry=0s"`

	Keys  []string `arg:"" name:"key" help:"The keys to read."`
	After string   `help:"Wait until what this receipt is for can be read." default:"" placeholder:"RECEIPT"`
}

func (getCmd) Help() string {
	return `The value of one key is printed alone, those of several as KEY, a tab and the value, a line each. A key that was never counted, or was removed, has none: the exit code is then 1.

Examples:

    piccolo get visits
    piccolo get visits signups --json`
}

func (c *getCmd) Run(out output) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	ctx, stop := untilInterrupted()
	defer stop()
	all, err := api.GetAll(ctx, c.Keys, client.After(c.After))
	if err != nil {
		return c.explain(err)
	}
	for _, n := range all.Numbers {
		switch {
		case c.JSON:
			err = printNumber(out.stdout, n, true)
		case len(c.Keys) == 1:
			_, err = fmt.Fprintln(out.stdout, n.Value)
		default:
			err = printNumber(out.stdout, n, false)
		}
		if err != nil {
			return err
		}
	}
	if len(all.Missing) > 0 {
		for i, key := range all.Missing {
			all.Missing[i] = visible(key)
		}
		return errors.New("never counted, or removed: " + strings.Join(all.Missing, ", "))
	}
	return nil
}

// printNumber prints a number as a line, of JSON or with a tab.
func printNumber(w io.Writer, n client.Number, asJSON bool) error {
	if asJSON {
		return printLine(w, n)
	}
	_, err := fmt.Fprintf(w, "%s\t%d\n", visible(n.Key), n.Value)
	return err
}
