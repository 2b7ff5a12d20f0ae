package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// histogram holds how many observations are at most each bound, in seconds.
type histogram map[float64]float64

func (h histogram) minus(before histogram) histogram {
	d := make(histogram)
	for bound, n := range h {
		d[bound] = n - before[bound]
	}
	return d
}

// quantile returns the bound that the q-th part of the observations does not
// exceed.
func (h histogram) quantile(q float64) time.Duration {
	total := h[math.Inf(1)]
	if total == 0 {
		return 0
	}
	bounds := make([]float64, 0, len(h))
	for bound := range h {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	for _, bound := range bounds {
		if h[bound] >= q*total {
			return time.Duration(bound * float64(time.Second))
		}
	}
	return 0
}

// print writes the medians of every case as a table in Markdown.
func print(w io.Writer, results map[string][]result) {
	base := median(results["no-op"], func(r result) float64 { return float64(r.cpu) })
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprintln(t, "case\trequests/s\tCPU/request\tratio\treply p50\treply p99\tfreshness p50 ≤\tp99 ≤\trows/increment\tidle RSS\t")
	for _, k := range cases {
		rs := results[k.name]
		if len(rs) == 0 {
			continue
		}
		cpu := median(rs, func(r result) float64 { return float64(r.cpu) })
		fmt.Fprintf(t, "%s\t%.0f\t%.1f µs\t%.2f\t%s\t%s\t%s\t%s\t%.2f\t%.0f MiB\t\n", k.name,
			median(rs, func(r result) float64 { return r.requests }),
			cpu/1000, cpu/base,
			duration(rs, func(r result) time.Duration { return r.p50 }),
			duration(rs, func(r result) time.Duration { return r.p99 }),
			duration(rs, func(r result) time.Duration { return r.freshness.quantile(.5) }),
			duration(rs, func(r result) time.Duration { return r.freshness.quantile(.99) }),
			median(rs, func(r result) float64 { return r.rows }),
			median(rs, func(r result) float64 { return float64(r.rss) / 1024 }),
		)
	}
	_ = t.Flush()
}

func median(rs []result, figure func(result) float64) float64 {
	if len(rs) == 0 {
		return math.NaN()
	}
	figures := make([]float64, len(rs))
	for i, r := range rs {
		figures[i] = figure(r)
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

func duration(rs []result, figure func(result) time.Duration) time.Duration {
	return time.Duration(median(rs, func(r result) float64 { return float64(figure(r)) })).Round(10 * time.Microsecond)
}
