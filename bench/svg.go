package main

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// A chart draws lines over a common x axis.
type chart struct {
	title, x, y string
	logX, logY  bool
	series      []series
}

type series struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// Sizes in pixels, and colors that can be told apart by everybody (Okabe, Ito).
const (
	chartWidth, chartHeight            = 720, 300
	marginLeft, marginRight, marginTop = 64, 150, 34
	marginBottom                       = 46
	plotWidth                          = chartWidth - marginLeft - marginRight
	plotHeight                         = chartHeight - marginTop - marginBottom
	gridColor, inkColor, paperColor    = "#ddd", "#333", "#fff"
	fontFamily                         = "system-ui,sans-serif"
)

var seriesColors = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// axis maps values to a length in pixels.
type axis struct {
	min, max float64
	log      bool
	length   float64
}

func newAxis(values []float64, log bool, length float64) axis {
	a := axis{math.Inf(1), math.Inf(-1), log, length}
	for _, v := range values {
		if log && v <= 0 {
			continue
		}
		a.min, a.max = min(a.min, v), max(a.max, v)
	}
	if log {
		a.min, a.max = math.Pow(10, math.Floor(math.Log10(a.min))), math.Pow(10, math.Ceil(math.Log10(a.max)))
		if a.min == a.max {
			a.max *= 10
		}
		return a
	}
	a.min = min(a.min, 0)
	if a.max <= a.min {
		a.max = a.min + 1
	}
	step := a.step()
	a.max = math.Ceil(a.max/step) * step
	return a
}

func (a axis) step() float64 {
	rough := (a.max - a.min) / 5
	unit := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= rough {
			return m * unit
		}
	}
	return 10 * unit
}

func (a axis) ticks() (ticks []float64) {
	if a.log {
		for v := a.min; v <= a.max*1.001; v *= 10 {
			ticks = append(ticks, v)
		}
		return ticks
	}
	step := a.step()
	for v := a.min; v <= a.max+step/1000; v += step {
		ticks = append(ticks, v)
	}
	return ticks
}

func (a axis) at(v float64) float64 {
	if a.log {
		v = max(v, a.min)
		return a.length * math.Log(v/a.min) / math.Log(a.max/a.min)
	}
	return a.length * (v - a.min) / (a.max - a.min)
}

func (c chart) svg() string {
	var xs, ys []float64
	for _, s := range c.series {
		for _, p := range s.points {
			xs, ys = append(xs, p.x), append(ys, p.y)
		}
	}
	if len(xs) == 0 {
		return ""
	}
	x, y := newAxis(xs, c.logX, plotWidth), newAxis(ys, c.logY, plotHeight)
	var b strings.Builder
	openSVG(&b, chartWidth, chartHeight, c.title)
	for _, v := range y.ticks() {
		at := marginTop + plotHeight - y.at(v)
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="%s"/>`+"\n", marginLeft, at, marginLeft+plotWidth, gridColor)
		text(&b, marginLeft-6, at+4, "end", short(v))
	}
	for _, v := range x.ticks() {
		at := marginLeft + x.at(v)
		fmt.Fprintf(&b, `<path d="M%.1f %dv%d" stroke="%s"/>`+"\n", at, marginTop, plotHeight, gridColor)
		text(&b, at, marginTop+plotHeight+16, "middle", short(v))
	}
	text(&b, marginLeft+plotWidth/2, chartHeight-8, "middle", c.x)
	text(&b, marginLeft, marginTop-8, "start", c.y)
	for i, s := range c.series {
		color := seriesColors[i%len(seriesColors)]
		var path strings.Builder
		for j, p := range s.points {
			px, py := marginLeft+x.at(p.x), marginTop+plotHeight-y.at(p.y)
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], px, py)
			if len(s.points) < 30 {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px, py, color)
			}
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), color)
		at := float64(marginTop + 10 + 18*i)
		fmt.Fprintf(&b, `<path d="M%d %.1fh16" stroke="%s" stroke-width="3"/>`+"\n", marginLeft+plotWidth+10, at-4, color)
		text(&b, marginLeft+plotWidth+32, at, "start", s.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// bar is one line of a bar chart.
type bar struct {
	name  string
	value float64
	mark  bool // ours
}

// bars draws horizontal bars on a logarithmic scale.
func bars(title, unit string, all []bar) string {
	const left, height, right = 330, 22, 60
	var values []float64
	for _, v := range all {
		values = append(values, v.value)
	}
	if len(values) == 0 {
		return ""
	}
	scale := newAxis(values, true, chartWidth-left-right)
	var b strings.Builder
	openSVG(&b, chartWidth, marginTop+height*len(all)+40, title)
	for _, v := range scale.ticks() {
		at := left + scale.at(v)
		fmt.Fprintf(&b, `<path d="M%.1f %dv%d" stroke="%s"/>`+"\n", at, marginTop-4, height*len(all)+8, gridColor)
		text(&b, at, float64(marginTop+height*len(all)+18), "middle", short(v))
	}
	text(&b, left+(chartWidth-left-right)/2, float64(marginTop+height*len(all)+34), "middle", unit)
	for i, v := range all {
		color := "#999"
		if v.mark {
			color = seriesColors[0]
		}
		top := float64(marginTop + height*i)
		fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", left, top+3, max(scale.at(v.value), 1), height-6, color)
		text(&b, left-8, top+15, "end", v.name)
		text(&b, left+scale.at(v.value)+5, top+15, "start", strconv.FormatFloat(v.value, 'g', 3, 64))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func openSVG(b *strings.Builder, width, height int, title string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="%s" font-size="12" fill="%s">`+"\n",
		width, height, fontFamily, inkColor)
	fmt.Fprintf(b, `<rect width="100%%" height="100%%" fill="%s"/>`+"\n", paperColor)
	fmt.Fprintf(b, `<text x="12" y="16" font-weight="bold">%s</text>`+"\n", html.EscapeString(title))
}

func text(b *strings.Builder, x, y float64, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
}

// short writes a number for a tick.
func short(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case abs >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
