// Command bench measures what Piccolo costs, next to a server that does
// nothing and to others that do the same work, on the same machine in the same
// run:
//
//	go run ./bench                  CPU per request of each mode
//	go run ./bench compare          everybody side by side
//	go run ./bench growth           what grows with keys, connections, …
//	go run ./bench step             a load that steps up and down
//	go run ./bench fresh            what freshness costs
//	go run ./bench start            idle, start, and catching up
//
// With --write, the results go into docs/performance.md.
//
// The server has one core, the load (wrk) the other. Absolute figures depend
// on the machine and on its neighbours; the ratios carry over.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/alecthomas/kong"
)

type cli struct {
	Connections int           `help:"Connections that ask at the same time." default:"256"`
	Keys        int           `help:"Distinct keys." default:"10000"`
	For         time.Duration `help:"How long each server is under load." default:"5s"`
	Runs        int           `help:"How often everything is measured; the medians are printed." default:"3"`
	Write       bool          `help:"Put the results into docs/performance.md."`

	Cost    costCmd    `cmd:"" default:"withargs" help:"CPU per request of each of Piccolo's modes (the default)."`
	Compare compareCmd `cmd:"" help:"Everybody does the same work."`
	Growth  growthCmd  `cmd:"" help:"What grows with keys, connections, partitions, rows and bytes."`
	Step    stepCmd    `cmd:"" help:"A load that steps up and down, and what flushes, commits and freshness do."`
	Start   startCmd   `cmd:"" help:"Idle, start, and catching up with a backlog."`

	Fresh freshCmd `cmd:"" help:"What freshness costs."`
	Paced pacedCmd `cmd:"" hidden:""`
	Serve serveCmd `cmd:"" hidden:""`
	Count countCmd `cmd:"" hidden:"" name:"count-in-nats"`
}

func main() {
	b := new(bench)
	b.self, _ = os.Executable()
	ctx := kong.Parse(&b.cli, kong.Name("bench"), kong.Description("What Piccolo costs, next to a server that does nothing, and to others."))
	err := ctx.Run(b)
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// prepare builds the service, and says what is missing.
func (b *bench) prepare() (err error) {
	for tool, from := range map[string]string{"wrk": "wrk", "taskset": "util-linux"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is needed: apt-get install %s", tool, from)
		}
	}
	if b.dir, err = os.MkdirTemp("", "piccolo-bench"); err != nil {
		return err
	}
	b.piccolo = filepath.Join(b.dir, "piccolo")
	build := exec.Command("go", "build", "-trimpath", "-o", b.piccolo, "./cmd/piccolo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build piccolo, from the top of the repository: %w", err)
	}
	return nil
}

type costCmd struct {
	Cases []string `help:"Only these, and the first: no-op, memory, stored, applied, ingress-memory, ingress-stored, few-stored, light-stored."`
}

func (c *costCmd) Run(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	f, err := b.openFloor()
	if err != nil {
		return err
	}
	defer f.stage.stop()
	cases, results := b.cases(), make(map[string][]result)
	for run := range b.Runs {
		for i, k := range cases {
			if i > 0 && len(c.Cases) > 0 && !slices.Contains(c.Cases, k.name) {
				continue
			}
			fmt.Fprintf(os.Stderr, "run %d of %d: %s\n", run+1, b.Runs, k.name)
			r, err := f.beside(b, k.what)
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			results[k.name] = append(results[k.name], r)
		}
	}
	return b.publish("cost", table(cases, results), nil)
}
