package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
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

// table writes the medians of every case in Markdown.
func table(cases []benchCase, results map[string][]result) string {
	var t strings.Builder
	fmt.Fprintln(&t, "| case | requests/s | CPU/request | ratio | reply p50 | reply p99 | freshness p50 ≤ | p99 ≤ | rows/increment |")
	fmt.Fprintln(&t, "|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, k := range cases {
		rs := results[k.name]
		if len(rs) == 0 {
			continue
		}
		fmt.Fprintf(&t, "| %s | %s | %s | %.2f | %s | %s | %s | %s | %s |\n", k.name,
			thousands(median(rs, func(r result) float64 { return r.increments })), micro(median(rs, func(r result) float64 { return r.cpu })), median(rs, func(r result) float64 { return r.ratio }),
			duration(rs, func(r result) time.Duration { return r.p50 }),
			duration(rs, func(r result) time.Duration { return r.p99 }),
			duration(rs, func(r result) time.Duration { return r.freshness.quantile(.5) }),
			duration(rs, func(r result) time.Duration { return r.freshness.quantile(.99) }),
			rows(rs),
		)
	}
	return t.String()
}

// rows are those per increment, empty where there is no writer.
func rows(rs []result) string {
	n := median(rs, func(r result) float64 { return r.rows })
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", n)
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

// duration is a median for a table, empty where it was not measured.
func duration(rs []result, figure func(result) time.Duration) string {
	d := time.Duration(median(rs, func(r result) float64 { return float64(figure(r)) }))
	switch {
	case d == 0:
		return ""
	case d < time.Millisecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
}
