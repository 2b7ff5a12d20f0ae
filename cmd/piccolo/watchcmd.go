package main

import (
	"errors"
	"fmt"

	"github.com/piccolo-counter/piccolo/client"
)

// watchCmd prints totals as they change.
type watchCmd struct {
	clientFlags `embed:"" set:"retry=1m"`

	Keys    []string `arg:"" optional:"" name:"key" help:"The keys to watch; all where there are none."`
	Prefix  string   `help:"Watch the keys that start with it." default:"" placeholder:"TEXT"`
	Changes bool     `help:"Leave out what the totals are at the beginning."`
}

func (c *watchCmd) Validate() error {
	if len(c.Keys) > 0 && c.Prefix != "" {
		return errors.New("name keys, or a --prefix")
	}
	return nil
}

func (watchCmd) Help() string {
	return `Prints KEY, a tab and the total: of all first, then of each that changes, until Ctrl-C. A key that changes often is printed now and then, with its latest total; one that was removed without a total.

Examples:

    piccolo watch visits
    piccolo watch --prefix user: --changes --json`
}

func (c *watchCmd) Run(out output) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	ctx, stop := untilInterrupted()
	defer stop()
	live, begun := !c.Changes, false
	for e, err := range api.Watch(ctx, client.Selection{Keys: c.Keys, Prefix: c.Prefix}) {
		if err != nil {
			return c.explain(err)
		}
		switch e.Kind {
		case client.Reset:
			// A later one tells of what was missed, among others.
			live, begun = live || begun, true
		case client.Live:
			live = true
		case client.Changed:
			if live {
				err = printNumber(out.stdout, e.Number, c.JSON)
			}
		case client.Deleted:
			if c.JSON {
				err = printLine(out.stdout, map[string]any{"key": e.Key, "deleted": true})
			} else {
				_, err = fmt.Fprintf(out.stdout, "%s\t\n", visible(e.Key))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
