package main

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
)

// compareCmd has everybody do the same work, one after the other in each run,
// so that what changes on the machine changes for all.
type compareCmd struct {
	Only string `help:"Only peers whose name contains this, and the first."`
}

func (c *compareCmd) Run(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	f, err := b.openFloor()
	if err != nil {
		return err
	}
	defer f.stage.stop()
	peers := b.peers()
	results, skipped := make([][]result, len(peers)), make([]error, len(peers))
	for run := range b.Runs {
		for i := range peers {
			p := &peers[i]
			if i > 0 && !strings.Contains(p.name, c.Only) || skipped[i] != nil {
				continue
			}
			err := p.missing()
			if err == nil {
				fmt.Fprintf(os.Stderr, "run %d of %d: %s\n", run+1, b.Runs, p.name)
				var r result
				if r, err = f.beside(b, p.what); err == nil {
					results[i] = append(results[i], r)
				}
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "skipped: %v\n", err)
				skipped[i] = err
			}
		}
	}
	section, plot := comparison(peers, results, skipped, b)
	return b.publish("compare", section, map[string]string{"compare.svg": plot})
}

func comparison(peers []peer, results [][]result, skipped []error, b *bench) (section, plot string) {
	var t strings.Builder
	fmt.Fprintf(&t, "![CPU per increment](compare.svg)\n\n")
	fmt.Fprintln(&t, "| who | increments/s | CPU/increment | ratio | reply p50 | p99 | on disk at the reply | does not promise |")
	fmt.Fprintln(&t, "|---|---:|---:|---:|---:|---:|---|---|")
	var all []bar
	var versions, absent []string
	seen := make(map[string]bool)
	for i, p := range peers {
		rs := results[i]
		if skipped[i] != nil && len(rs) == 0 {
			reason, _, _ := strings.Cut(skipped[i].Error(), "\n")
			absent = append(absent, fmt.Sprintf("%s (%s)", p.name, reason))
			continue
		}
		if len(rs) == 0 {
			continue
		}
		cpu := median(rs, func(r result) float64 { return r.cpu })
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", p.name,
			thousands(median(rs, func(r result) float64 { return r.increments })), micro(cpu), ratio(median(rs, func(r result) float64 { return r.ratio })),
			duration(rs, func(r result) time.Duration { return r.p50 }), duration(rs, func(r result) time.Duration { return r.p99 }), p.disk, lacks(p, rs))
		all = append(all, bar{strings.ReplaceAll(p.name, "`", ""), cpu / 1000, strings.HasPrefix(p.name, "Piccolo")})
		v := versionOf(p.version)
		if strings.IndexFunc(v, unicode.IsDigit) <= 1 && len(p.needs) > 0 {
			v = p.needs[0] + " " + v // it says a number alone
		}
		if strings.TrimSpace(v) != "" && !seen[v] {
			seen[v] = true
			versions = append(versions, v)
		}
	}
	fmt.Fprintf(&t, "\nMedians of %d runs of %s; the ratio is to a no-op under load right before and after; %d connections, %d keys at random, the server with all its processes on one core and the load on the other. "+
		"A median latency is the number of connections over the throughput, for everybody: each connection asks again as soon as it has its reply.",
		b.Runs, b.For, b.Connections, b.Keys)
	if len(versions) > 0 {
		fmt.Fprintf(&t, " Versions: %s.", strings.Join(versions, "; "))
	}
	if len(absent) > 0 {
		fmt.Fprintf(&t, " Left out here: %s.", strings.Join(absent, "; "))
	}
	return t.String(), bars("CPU of the server per increment", "µs, logarithmic", all)
}

// lacks is what a peer does not promise, and how far behind a load that it took
// Piccolo's writer was at the end of it.
func lacks(p peer, rs []result) string {
	folded := median(rs, func(r result) float64 { return r.folded })
	if p.what.scrape == "" || folded > inStep {
		return p.lacks
	}
	return fmt.Sprintf("SQL at this rate: %.0f %% were in SQLite at the end, the rest was backlog", 100*folded)
}

// inStep is the part of the increments that a writer has folded when the load
// ends, and more, if it keeps up: what is missing is the freshness.
const inStep = 0.8

func micro(ns float64) string {
	switch {
	case ns < 1000:
		return fmt.Sprintf("%.2f µs", ns/1000)
	case ns < 10_000:
		return fmt.Sprintf("%.1f µs", ns/1000)
	}
	return fmt.Sprintf("%.0f µs", ns/1000)
}

func ratio(r float64) string {
	if r < 0.1 {
		return fmt.Sprintf("%.3f", r)
	}
	return fmt.Sprintf("%.2f", r)
}

// thousands writes a number with commas.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
