// Command bench measures what a request costs, next to a server that does
// nothing, on the same machine in the same run:
//
//	go run ./bench
//
// The server has one core, the load (wrk) the other. Absolute figures depend
// on the machine and on its neighbours; the ratios carry over.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"
)

type cli struct {
	Connections int           `help:"Connections that ask at the same time." default:"256"`
	Keys        int           `help:"Distinct keys." default:"10000"`
	For         time.Duration `help:"How long each server is under load." default:"5s"`
	Runs        int           `help:"How often everything is measured; the medians are printed." default:"3"`
	Cases       []string      `help:"Only these of: ${cases}."`

	Noop string `hidden:"" help:"Serve nothing at this address."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("bench"), kong.Description("CPU per request against a server that does nothing."),
		kong.Vars{"cases": caseNames()})
	if err := c.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (c *cli) run() error {
	if c.Noop != "" {
		return serveNothing(c.Noop)
	}
	for tool, from := range map[string]string{"wrk": "wrk", "taskset": "util-linux"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is needed: apt-get install %s", tool, from)
		}
	}
	dir, err := os.MkdirTemp("", "piccolo-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{cli: *c, dir: dir, piccolo: filepath.Join(dir, "piccolo")}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", b.piccolo, "./cmd/piccolo")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build piccolo, from the top of the repository: %w", err)
	}
	results := make(map[string][]result)
	for run := range c.Runs {
		for _, k := range cases {
			if !c.wants(k.name) {
				continue
			}
			fmt.Fprintf(os.Stderr, "run %d of %d: %s\n", run+1, c.Runs, k.name)
			r, err := b.measure(k)
			if err != nil {
				return errors.Join(fmt.Errorf("%s: %w", k.name, err))
			}
			results[k.name] = append(results[k.name], r)
		}
	}
	print(os.Stdout, results)
	return nil
}

func (c *cli) wants(name string) bool {
	if len(c.Cases) == 0 || name == "no-op" {
		return true
	}
	for _, wanted := range c.Cases {
		if wanted == name {
			return true
		}
	}
	return false
}
