package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/tsenart/vegeta/v12/lib/plot"
)

// attack is requests at a steady rate, whether or not the replies keep up.
type attack struct {
	name        string
	targets     []vegeta.Target
	rate        int
	duration    time.Duration // 0: until it is interrupted
	connections int
	workers     int
}

// results are what became of an attack's requests.
type results struct {
	metrics vegeta.Metrics
	plot    *plot.Plot
	plotErr error // the first
}

func (a *attack) attacker() *vegeta.Attacker {
	return vegeta.NewAttacker(
		vegeta.Connections(a.connections),
		vegeta.MaxConnections(a.connections),
		vegeta.MaxWorkers(uint64(a.workers)),
		// The service redirects nobody; whoever else does is to be seen, not
		// followed.
		vegeta.Redirects(vegeta.NoFollow),
		// vegeta binds to an IPv4 address otherwise, from which no IPv6
		// address can be reached.
		vegeta.LocalAddr(net.IPAddr{}),
	)
}

// run attacks until the duration has passed or ctx ends, waits for the replies
// that are still to come, and adds every outcome to t.
func (a *attack) run(ctx context.Context, t *tally, p progress) *results {
	attacker := a.attacker()
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()

	r := &results{plot: plot.New(plot.Title("piccolo: profile " + a.name))}
	defer r.metrics.Close()
	defer r.plot.Close()

	tick := time.NewTicker(p.every())
	defer tick.Stop()
	defer p.done()
	start := time.Now()
	pacer := vegeta.ConstantPacer{Freq: a.rate, Per: time.Second}
	replies := attacker.Attack(vegeta.NewStaticTargeter(numbered(a.targets)...), pacer, a.duration, a.name)
	for {
		select {
		case reply, ok := <-replies:
			if !ok {
				return r
			}
			t.add(unnumber(reply), reply.Code)
			r.metrics.Add(reply)
			if err := r.plot.Add(reply); r.plotErr == nil {
				r.plotErr = err
			}
		case <-tick.C:
			p.show(time.Since(start), t)
		}
	}
}

// report writes vegeta's report.
func (r *results) report(w io.Writer) error {
	return vegeta.NewTextReporter(&r.metrics).Report(w)
}

// writePlot writes vegeta's plot of latencies over time, a page of HTML.
func (r *results) writePlot(path string) (err error) {
	if r.plotErr != nil {
		return fmt.Errorf("plot the latencies: %w", r.plotErr)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("plot the latencies: %w: choose another file with --plot", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := r.plot.WriteTo(f); err != nil {
		return fmt.Errorf("plot the latencies: %w", err)
	}
	return nil
}
