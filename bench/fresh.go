package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// freshCmd shows what freshness costs: the sooner an increment is to be in the
// database, the fewer others share its flush, its row and its commit.
type freshCmd struct {
	Rate      int             `help:"Increments a second." default:"20000"`
	Freshness []time.Duration `help:"What is asked for, in turn." default:"3ms,5ms,10ms,15ms,25ms,40ms,100ms,1s"`
}

func (c *freshCmd) Run(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	var t strings.Builder
	fmt.Fprintf(&t, "%s increments/s, each a request, of %s keys, replies `memory`:\n\n", thousands(float64(c.Rate)), thousands(float64(b.Keys)))
	fmt.Fprintln(&t, "| `--freshness` | increments/s | commits/s | rows/increment | CPU/increment | freshness p50 ≤ | p99 ≤ |")
	fmt.Fprintln(&t, "|---:|---:|---:|---:|---:|---:|---:|")
	for _, freshness := range c.Freshness {
		fmt.Fprintf(os.Stderr, "freshness %s\n", freshness)
		var runs []result
		for range b.Runs {
			r, err := b.measure(b.allInOne(c.load(b), "--freshness", freshness.String(), "--ack", "memory"))
			if err != nil {
				return err
			}
			runs = append(runs, r)
		}
		of := func(figure func(result) float64) float64 { return median(runs, figure) }
		fmt.Fprintf(&t, "| %s | %s | %.0f | %.2f | %s | %s | %s |\n", freshness,
			thousands(of(func(r result) float64 { return r.increments })), of(func(r result) float64 { return r.commits }),
			of(func(r result) float64 { return r.rows }), micro(of(func(r result) float64 { return r.cpu })),
			duration(runs, func(r result) time.Duration { return r.freshness.quantile(.5) }),
			duration(runs, func(r result) time.Duration { return r.freshness.quantile(.99) }))
	}
	return b.publish("fresh", t.String(), nil)
}

// load asks at one rate.
func (c *freshCmd) load(b *bench) loader {
	return func(api string) func(*stage, time.Duration) (loaded, error) {
		return func(_ *stage, d time.Duration) (loaded, error) {
			out, err := b.paced(api, d, c.Rate).Output()
			if err != nil {
				return loaded{}, err
			}
			answered, err := strconv.Atoi(strings.TrimSpace(string(out)))
			return loaded{increments: answered}, err
		}
	}
}
