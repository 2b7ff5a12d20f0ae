package main

import "github.com/piccolo-counter/piccolo/client"

// clearCmd removes keys.
type clearCmd struct {
	clientFlags `embed:"" set:"retry=30s"`

	Keys []string `arg:"" name:"key" help:"The keys to remove."`
}

func (clearCmd) Help() string {
	return `A key is removed as if it had never been counted; what is counted after starts from 0. Where the API asks for tokens, it takes one with the role admin.

Example:

    piccolo clear visits signups`
}

func (c *clearCmd) Run(out output) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	ctx, stop := untilInterrupted()
	defer stop()
	for _, key := range c.Keys {
		counted, err := api.Clear(ctx, key, client.WithAck(client.Applied))
		if err != nil {
			return c.explain(err)
		}
		if err := c.printChanged(out, counted, "cleared "+visible(key)); err != nil {
			return err
		}
	}
	return nil
}
