package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// readyCmd asks a service for its health, for scripts and for a container that
// has nothing else to ask with.
type readyCmd struct {
	adminFlags `embed:""`

	Timeout time.Duration `help:"How long an answer may take." default:"4s" placeholder:"D"`
	JSON    bool          `name:"json" help:"Print JSON."`
}

func (c *readyCmd) Run(out output) error {
	client := http.Client{Timeout: c.Timeout}
	res, err := client.Get("http://" + c.Admin + "/readyz?verbose")
	if err != nil {
		return broken(fmt.Errorf("no answer from %s: %w: does the service run, and is this what its --admin says?", c.Admin, err))
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return broken(err)
	}
	ready := res.StatusCode == http.StatusOK
	if c.JSON {
		err = printJSON(out.stdout, readiness{ready, healthChecks(string(said))})
	} else {
		_, err = out.stdout.Write(said)
	}
	if err != nil {
		return broken(err)
	}
	if !ready {
		return broken(errors.New("not ready"))
	}
	return nil
}

// readiness is what is printed as JSON.
type readiness struct {
	Ready  bool       `json:"ready"`
	Checks []verified `json:"checks"`
}

// healthChecks reads the lines of /readyz?verbose, such as "[+] writer: ok".
func healthChecks(said string) []verified {
	checks := []verified{}
	for line := range strings.Lines(said) {
		mark, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name, says, ok := strings.Cut(rest, ": "); ok && (mark == "[+]" || mark == "[-]") {
			checks = append(checks, verified{Name: name, OK: mark == "[+]", Says: says})
		}
	}
	return checks
}
