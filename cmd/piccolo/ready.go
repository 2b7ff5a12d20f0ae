package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/piccolo-counter/piccolo/actors/admin"
)

// readyCmd asks a service for its health, for scripts and for a container that
// has nothing else to ask with.
type readyCmd struct {
	adminFlags `embed:""`

	Timeout time.Duration `help:"How long an answer may take." default:"4s" placeholder:"D"`
	JSON    bool          `name:"json" help:"Print JSON."`
}

func (c *readyCmd) Run(out output) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	health, err := askHealth(ctx, c.Admin)
	if err != nil {
		return broken(fmt.Errorf("no answer from %s: %w: does the service run, and is this what its --admin says?", c.Admin, err))
	}
	if c.JSON {
		err = printJSON(out.stdout, readiness{health.Ready(), health})
	} else {
		_, err = io.WriteString(out.stdout, health.String())
	}
	if err != nil {
		return broken(err)
	}
	if !health.Ready() {
		return broken(errors.New("not ready"))
	}
	return nil
}

// readiness is what is printed as JSON.
type readiness struct {
	Ready  bool         `json:"ready"`
	Checks admin.Health `json:"checks"`
}
