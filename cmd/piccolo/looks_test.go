package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// busy is a deployment with much of everything: load, processes, long names,
// errors, and increments that do not add up.
type busy struct {
	*admin.Deployment
	at       time.Time
	accepted uint64 // by each of its ingresses
	took     [4]piccolo.SpreadCounter
}

const (
	busyIngresses = 4
	busyWriters   = 4
)

// second makes a second pass, at a rate that rises and falls.
func (b *busy) second() {
	b.at = b.at.Add(time.Second)
	part := float64(b.at.Unix()%120) / 120
	rate := uint64(120_000 + 80_000*math.Sin(2*math.Pi*part))
	b.accepted += rate
	took := func(stage int, d time.Duration) piccolo.Spread {
		for n := range 30 {
			b.took[stage].Observe(d + time.Duration(n%7)*d/3)
		}
		return b.took[stage].Read()
	}
	origin := func(n int) string { return fmt.Sprintf("producer-%d", n) }
	for n := range busyIngresses {
		r := piccolo.Report{
			ID: origin(n), Role: "ingress", Version: "1.22.333+abcdef", Host: strings.Repeat("very-", 8) + "long.host.example", PID: 4_000_000 + n, At: b.at,
			Started: b.at.Add(-1000 * time.Hour), Of: busyWriters, API: "http://127.0.0.1:3333", Admin: "http://127.0.0.1:3334",
			Ingress: &piccolo.IngressReport{
				Producer: origin(n), Keys: 1_234_567, Deltas: b.accepted / 9, Bytes: b.accepted * 20, Flush: took(0, 700*time.Microsecond), Reply: took(1, 2*time.Millisecond),
				Published: []piccolo.Published{{Partition: n, Accepted: b.accepted + 512, Seq: b.accepted / 1000, Increments: b.accepted}},
				Replies:   map[string]uint64{"stored": b.accepted / 2, "memory": b.accepted / 3, "applied": b.accepted / 9, "503": b.accepted / 99},
			},
		}
		if n == 1 {
			r.Error, r.ErrorAt = "cannot publish, error "+strings.Repeat("unbroken", 30), b.at.Add(-time.Minute)
		}
		b.Take(r)
	}
	for n := range busyWriters {
		folded := b.accepted - 40_000
		w := piccolo.Report{
			ID: fmt.Sprintf("writer-%d", n), Role: "writer", Version: "1.22.333+abcdef", Host: "w", PID: n + 1, At: b.at, Started: b.at.Add(-time.Hour), Of: busyWriters + 2,
			Writer: &piccolo.WriterReport{
				Partitions: []int{n}, Commits: b.accepted / 9000, Increments: folded, Rows: folded / 11, Commit: took(2, 4*time.Millisecond), Freshness: took(3, 30*time.Millisecond),
				Backlog: &piccolo.Backlog{Batches: rate / 4000, Bytes: rate * 9},
				Folded:  []piccolo.FoldedProducer{{Producer: origin(n), Partition: n, Watermark: b.accepted / 1000, Batches: b.accepted / 1000, Increments: folded}},
			},
		}
		for k := range 6 {
			value := int64(math.MinInt64) + 1 // what JavaScript would round
			w.Writer.Hottest = append(w.Writer.Hottest, piccolo.Hot{Key: strings.Repeat("a long key/", 1+8*k) + fmt.Sprint(n), Moved: float64(rate) / float64(k+1), Value: &value})
		}
		if n == 2 {
			w.Unready = "writer: the database is locked by another process: " + strings.Repeat("locked ", 20)
		}
		if n == 3 {
			w.Warning = "disk: 1.0 GiB of 100.0 GiB are free under /var/lib/piccolo"
		}
		b.Take(w)
	}
	b.Tick(b.at)
}

// serveBusy serves the page of a busy deployment, and returns where.
func serveBusy(t *testing.T) (origin string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &busy{Deployment: admin.NewDeployment(), at: time.Now().Add(-200 * time.Second), accepted: 123_456_789_012}
	for range 200 {
		d.second()
	}
	a := admin.New(l, admin.Config{Metrics: admin.NewMetrics("test"), Deployment: d.Deployment, Log: discard,
		Lookup: func(ctx context.Context, prefix string, limit int) (numbers []piccolo.Number, _ error) {
			if prefix == "slow" { // as with a writer that hangs
				<-ctx.Done()
				return []piccolo.Number{{Key: "slow", Value: 1}}, errors.New("without partition 3")
			}
			for n := range limit {
				numbers = append(numbers, piccolo.Number{Key: prefix + strings.Repeat("/and/what/comes/after", n), Value: math.MinInt64})
			}
			return numbers, nil
		}})
	ended, stop, ticked := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() { ended <- a.Execute() }()
	go func() {
		defer close(ticked)
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-tick.C:
				d.second()
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-ticked
		a.Interrupt(nil)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// pageLimit is what the page may weigh, in bytes, with the heads of the replies.
const pageLimit = 150 << 10

// tooPale are the texts whose colour is too near to what is behind them to be
// read by everybody: WCAG asks for a contrast of 4.5.
const tooPale = `(() => {
  const rgb = (c) => { const n = c.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
  const pale = [], seen = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement;
    if (!n.textContent.trim() || ["NOSCRIPT", "SCRIPT"].includes(e.tagName) || !e.getClientRects().length) continue;
    const text = light(rgb(getComputedStyle(e).color)), back = light(behind(e));
    const ratio = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    seen.add(getComputedStyle(e).color);
    if (ratio < 4.5) pale.push(n.textContent.trim().slice(0, 40) + ": " + ratio.toFixed(2));
  }
  return seen.size < 3 ? ["there are but " + seen.size + " colours"] : pale;
})()`

// overflowing are the parts of the page that stick out of it to the right, when
// that makes it scroll.
const overflowing = `(() => {
  const page = document.documentElement; // on a phone what sticks out makes the window wider
  if (page.scrollWidth <= screen.width && innerWidth <= screen.width) return [];
  const out = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > screen.width + 1);
  return [Math.max(page.scrollWidth, innerWidth) + " of " + screen.width, ...out.slice(0, 5).map((e) => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40))];
})()`

// The page is light to load, asks nobody else for anything, fits any screen, can
// be read in light and dark, and used by keyboard; with much of everything on it.
func TestPageLooks(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes a while")
	}
	t.Parallel()
	origin := serveBusy(t)
	b := openBrowser(t, origin)
	b.size(1320, 900, "light")
	b.do(chromedp.Navigate(origin + "/"))
	b.await(`document.querySelector("#state").className === "pill bad" && document.querySelectorAll("#hottest tr").length === 12`)

	weight := eval[float64](b, `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].reduce((sum, e) => sum + e.transferSize, 0)`)
	if weight < 10<<10 || weight > pageLimit {
		t.Errorf("the page weighs %.0f bytes, and may at most %d", weight, pageLimit)
	}
	t.Logf("the page weighs %.0f bytes", weight)
	if shown := b.text("#conservation"); !strings.Contains(shown, "160,000 increments do not add up: run piccolo verify") {
		t.Errorf("of what does not add up it says %s", shown)
	}

	if shown := b.text("#hottest td:last-child"); shown != "-9,223,372,036,854,775,807" {
		t.Errorf("the least value but one is shown as %s", shown)
	}

	// Keys that are too long end in an ellipsis, in both lists, and tell all of
	// themselves on a closer look.
	eval[bool](b, `document.querySelector("#search").value = "x"; document.querySelector("#search").dispatchEvent(new Event("input"))`)
	b.await(`document.querySelectorAll("#found tr").length === 12`)
	for selector, what := range map[string]string{"#hottest .pick": "the hottest keys", "#found td:first-child": "the keys found"} {
		long := fmt.Sprintf(`[...document.querySelectorAll(%q)].filter((e) => e.scrollWidth > e.clientWidth)`, selector)
		if eval[int](b, long+".length") == 0 {
			t.Errorf("none of %s is longer than its place", what)
		}
		if !eval[bool](b, long+`.every((e) => { const s = getComputedStyle(e); return s.textOverflow === "ellipsis" && s.overflowX === "hidden" && s.whiteSpace.startsWith("pre") && e.title === (e.dataset.key ?? e.parentElement.dataset.key); })`) {
			t.Errorf("of %s one that is too long has no ellipsis, or no title", what)
		}
	}

	// An answer that takes longer than the second after which the page would ask
	// again is shown all the same, with what is missing from it.
	eval[bool](b, `document.querySelector("#search").value = "slow"; document.querySelector("#search").dispatchEvent(new Event("input"))`)
	b.await(`document.querySelector("#found td").textContent === "slow" && document.querySelector("#nothing").textContent === "without partition 3"`)
	eval[bool](b, `document.querySelector("#search").value = "x"; document.querySelector("#search").dispatchEvent(new Event("input"))`)
	b.await(`document.querySelectorAll("#found tr").length === 12`)

	// What the keyboard reaches, it shows.
	eval[bool](b, `document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus(); true`)
	var reached []string
	for len(reached) < 60 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if eval[bool](b, `document.activeElement === document.body || document.activeElement === document.documentElement`) {
			break
		}
		reached = append(reached, eval[string](b, `(() => { const e = document.activeElement; return e.id || e.dataset.span || e.getAttribute("href") || e.className || e.tagName; })()`))
		if !eval[bool](b, `(() => { const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
			return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && box.width > 0 && box.right > 0 && box.left < innerWidth; })()`) {
			t.Errorf("%s has the focus, and does not show it", reached[len(reached)-1])
		}
		if reached[len(reached)-1] == "search" {
			break
		}
	}
	for _, want := range []string{"#search", "/metrics", "/readyz?verbose", "/debug/pprof/", "theme", "60", "600", "CANVAS", "pick", "search"} {
		if !strings.Contains(" "+strings.Join(reached, " ")+" ", " "+want+" ") {
			t.Errorf("the keyboard does not reach %s: %q", want, reached)
		}
	}

	colours := make(map[string]string)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1320, 900, 390, 320} {
			b.size(width, 860, theme)
			b.await(fmt.Sprintf("screen.width === %d && document.documentElement.dataset.theme === %q", width, theme))
			if out := eval[[]string](b, overflowing); len(out) > 0 {
				t.Errorf("%d px wide, %s: the page scrolls sideways: %q", width, theme, out)
			}
			if pale := eval[[]string](b, tooPale); len(pale) > 0 {
				t.Errorf("%d px wide, %s: too pale: %q", width, theme, pale)
			}
			b.picture(fmt.Sprintf("busy-%d-%s", width, theme), width, 860, theme)
		}
		colours[theme] = eval[string](b, `getComputedStyle(document.body).color + " on " + getComputedStyle(document.body).backgroundColor`)
	}
	if colours["light"] == colours["dark"] {
		t.Errorf("light and dark are both %s", colours["light"])
	}
	b.clean("busy")
}
