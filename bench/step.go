package main

import (
	"fmt"
	"strings"
	"time"
)

// stepCmd shows the gear: flushes and commits follow a load that steps from
// light to heavy and back, and the freshness stays what was asked for.
type stepCmd struct {
	Freshness time.Duration `help:"What is asked for." default:"25ms"`
	Ack       string        `help:"What replies wait for." default:"memory"`
	Light     int           `help:"Increments a second, before and after." default:"100"`
	Heavy     int           `help:"In between." default:"50000"`
}

// A moment is what the service did in a part of a second.
type moment struct {
	at                     float64 // s
	rate, flushes, commits float64 // a second
	perCommit              float64 // increments
	p50, p99               float64 // of the freshness, ms, as the histogram's bounds
}

const stepEvery = 500 * time.Millisecond

func (c *stepCmd) Run(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	s, err := b.newStage()
	if err != nil {
		return err
	}
	defer s.stop()
	var api string
	k := b.allInOne(func(addr string) func(*stage, time.Duration) (loaded, error) { api = addr; return nil },
		"--freshness", c.Freshness.String(), "--ack", c.Ack)
	if err := k.start(s); err != nil {
		return err
	}
	load := b.paced(api, b.For, c.Light, c.Heavy, c.Light)
	if err := load.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- load.Wait() }()
	var moments []moment
	before, err := metrics(k.scrape)
	if err != nil {
		return err
	}
	start, last := time.Now(), time.Now()
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for going := true; going; {
		select {
		case err := <-ended:
			if err != nil {
				return err
			}
			going = false
			continue
		case <-tick.C:
		}
		now, err := metrics(k.scrape)
		if err != nil {
			return err
		}
		took := time.Since(last).Seconds()
		last = time.Now()
		fresh := now.freshness.minus(before.freshness)
		m := moment{
			at:   time.Since(start).Seconds(),
			rate: (now.increments - before.increments) / took, flushes: (now.flushes - before.flushes) / took, commits: (now.commits - before.commits) / took,
			p50: fresh.quantile(.5).Seconds() * 1000, p99: fresh.quantile(.99).Seconds() * 1000,
		}
		if m.commits > 0 {
			m.perCommit = m.rate / m.commits
		}
		moments = append(moments, m)
		before = now
	}
	section, plots := c.show(moments, b)
	return b.publish("step", section, plots)
}

func (c *stepCmd) show(moments []moment, b *bench) (string, map[string]string) {
	var t strings.Builder
	fmt.Fprintf(&t, "`--freshness %s`, %d increments/s, then %d, then %d again, %s each, replies `%s`; medians of each:\n\n", c.Freshness, c.Light, c.Heavy, c.Light, b.For, c.Ack)
	fmt.Fprintln(&t, "| load | increments/s | flushes/s | commits/s | increments/commit | freshness p50 ≤ | p99 ≤ |")
	fmt.Fprintln(&t, "|---|---:|---:|---:|---:|---:|---:|")
	each := b.For.Seconds()
	for i, name := range []string{"light", "heavy", "light again"} {
		var in []moment
		for _, m := range moments {
			// The first moments of a step belong to what was before.
			if m.at > float64(i)*each+1 && m.at < float64(i+1)*each {
				in = append(in, m)
			}
		}
		if len(in) == 0 {
			continue
		}
		mid := func(f func(moment) float64) float64 {
			rs := make([]result, len(in))
			for i, m := range in {
				rs[i].rows = f(m)
			}
			return median(rs, func(r result) float64 { return r.rows })
		}
		fmt.Fprintf(&t, "| %s | %s | %.0f | %.0f | %.0f | %.1f ms | %.1f ms |\n", name, thousands(mid(func(m moment) float64 { return m.rate })),
			mid(func(m moment) float64 { return m.flushes }), mid(func(m moment) float64 { return m.commits }),
			mid(func(m moment) float64 { return m.perCommit }), mid(func(m moment) float64 { return m.p50 }), mid(func(m moment) float64 { return m.p99 }))
	}
	line := func(name string, f func(moment) float64) series {
		s := series{name: name}
		for _, m := range moments {
			s.points = append(s.points, point{m.at, f(m)})
		}
		return s
	}
	fmt.Fprintf(&t, "\n![load](step-load.svg)\n![freshness](step-freshness.svg)\n")
	return t.String(), map[string]string{
		"step-load.svg": chart{title: "A load that steps, and what follows it", x: "s", y: "logarithmic", logY: true, series: []series{
			line("increments/s", func(m moment) float64 { return m.rate }),
			line("flushes/s", func(m moment) float64 { return m.flushes }),
			line("commits/s", func(m moment) float64 { return m.commits }),
			line("increments/commit", func(m moment) float64 { return m.perCommit }),
		}}.svg(),
		"step-freshness.svg": chart{title: "Freshness meanwhile, --freshness " + c.Freshness.String(), x: "s", y: "ms, at most", series: []series{
			line("p50", func(m moment) float64 { return m.p50 }),
			line("p99", func(m moment) float64 { return m.p99 }),
		}}.svg(),
	}
}
