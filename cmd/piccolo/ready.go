package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// readyCmd asks a service for its health, for scripts and for a container that
// has nothing else to ask with.
type readyCmd struct {
	adminFlags `embed:""`

	Timeout time.Duration `help:"How long an answer may take." default:"4s" placeholder:"D"`
}

func (c *readyCmd) Run(out output) error {
	client := http.Client{Timeout: c.Timeout}
	res, err := client.Get("http://" + c.Admin + "/readyz?verbose")
	if err != nil {
		return broken(fmt.Errorf("no answer from %s: %w: does the service run, and is this what its --admin says?", c.Admin, err))
	}
	defer res.Body.Close()
	if _, err := io.Copy(out.stdout, res.Body); err != nil {
		return broken(err)
	}
	if res.StatusCode != http.StatusOK {
		return broken(errors.New("not ready"))
	}
	return nil
}
