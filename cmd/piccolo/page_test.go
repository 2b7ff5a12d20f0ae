package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/piccolo-counter/piccolo/internal/port"
)

// browser is a page in Chromium, and everything in it that went wrong.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string
	foreign  []string // requests to anywhere but the service
}

// openBrowser starts Chromium, where there is one.
func openBrowser(t *testing.T, origin string) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium here: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Env("TMPDIR=/tmp")) // any other may be too long for its socket
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	b := &browser{t: t}
	b.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			if e.Type == "error" || e.Type == "warning" {
				b.problems = append(b.problems, fmt.Sprintf("console: %s %v", e.Type, e.Args))
			}
		case *runtime.EventExceptionThrown:
			b.problems = append(b.problems, e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			b.problems = append(b.problems, e.Entry.Text)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, origin) {
				b.foreign = append(b.foreign, e.Request.URL)
			}
		}
	}))
	t.Cleanup(cancel)
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[int]("1")); err != nil { // the browser starts
		t.Fatal(err)
	}
	if _, err := chromedp.Call(b.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns what an expression is in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// await returns when an expression is true.
func (b *browser) await(expression string) {
	b.t.Helper()
	b.until(expression, func() bool { return eval[bool](b, "Boolean("+expression+")") }, func() string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return fmt.Sprintf("%v: %s", b.problems, eval[string](b, "document.body.innerText"))
	})
}

// until returns when something is true; if it never is, it says what there is.
func (b *browser) until(what string, is func() bool, have func() string) {
	b.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("%s never came true: %s", what, have())
		}
	}
}

func (b *browser) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf("document.querySelector(%q).textContent", selector))
}

// size sets the size of the window and the theme that the system prefers.
func (b *browser) size(width, height int64, theme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, ScreenWidth: width, ScreenHeight: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// clean expects that nothing went wrong since it was last called.
func (b *browser) clean(when string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range append(b.problems, b.foreign...) {
		b.t.Errorf("%s: %s", when, p)
	}
	b.problems, b.foreign = nil, nil
}

// picture takes one of the page, where somebody wants it.
func (b *browser) picture(name string, width, height int64, theme string) {
	b.t.Helper()
	dir := os.Getenv("PICCOLO_PICTURES")
	if dir == "" {
		return
	}
	b.size(width, height, theme)
	b.do(chromedp.Sleep(2500 * time.Millisecond))
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Error(err)
	}
}

// hostile are keys that are markup, script, or play tricks with what shows them.
var hostile = []string{
	`<script>window.hit=1</script>`,
	`<img src=x onerror=window.hit=1>`,
	`"><svg onload=window.hit=1>`,
	`'-window.hit-'`,
	`javascript:window.hit=1`,
	"\u202ereversed",
	`{{constructor.constructor('window.hit=1')()}}`,
}

// The page as a person meets it: it opens, its figures move under load, a key is
// found and its value followed, what clients call their keys does no harm, and a
// restart of the service is survived.
func TestPageInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes a while")
	}
	data := t.TempDir()
	p := startAllInOne(t, "--data", data, "--listen", "127.0.0.1:0", "--admin", port.Free(t)) // where it comes back
	admin := adminOf(p)
	b := openBrowser(t, admin)

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	load := func(api string) {
		for c := range 3 {
			clients.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					key, value := fmt.Sprintf("page/%d", n*n%(23+c)), 1000
					if n%20 == 0 {
						key, value = hostile[n/20%len(hostile)], 100_000
					}
					ack := []string{"stored", "stored", "memory", "applied"}[n%4]
					increment(ctx, api, key, value, ack)
				}
			})
		}
	}
	load(p.api)

	b.size(1320, 900, "light")
	b.do(chromedp.Navigate(admin + "/"))
	b.await(`document.querySelector("#state").textContent.startsWith("live")`)
	for _, stage := range []string{"accepted", "batches", "folded", "rows"} {
		b.await(fmt.Sprintf(`/^[1-9]/.test(document.querySelector(".big[data-v=%s]").textContent)`, stage))
	}
	before := b.text("#conservation")
	b.await(fmt.Sprintf(`document.querySelector("#conservation").textContent !== %q && document.querySelector("#conservation").textContent.includes("nothing lost")`, before))
	b.await(`document.querySelectorAll("#hottest tr").length >= 10 && document.querySelectorAll("#processes tbody tr").length === 1`)
	b.await(`document.querySelectorAll(".plot").length === 8 && [...document.querySelectorAll(".plot .key.a b")].every((e) => e.textContent !== "–")`)

	// The keyboard is enough: / goes to the search, which follows the value.
	b.do(chromedp.KeyEvent("/"))
	b.await(`document.activeElement === document.querySelector("#search")`)
	eval[string](b, `document.querySelector("#search").value = ""`) // the protocol sends the character by itself, too
	b.do(chromedp.KeyEvent("page/1"))
	b.await(`document.querySelectorAll("#found tr").length > 1 && document.querySelector("#found td").textContent === "page/1"`)
	value := b.text("#found td.n")
	b.await(fmt.Sprintf(`document.querySelector("#found td.n").textContent !== %q`, value))
	b.do(chromedp.KeyEvent("no such key"))
	b.await(`document.querySelector("#nothing").textContent.startsWith("No key")`)

	// What looks like markup is text, in both lists.
	for _, key := range hostile {
		quoted, _ := json.Marshal(key)
		eval[bool](b, fmt.Sprintf(`document.querySelector("#search").value = %s; document.querySelector("#search").dispatchEvent(new Event("input"))`, quoted))
		b.await(fmt.Sprintf(`document.querySelector("#found tr")?.dataset.key === %s`, quoted))
	}
	b.await(`[...document.querySelectorAll("#hottest .pick")].some((e) => e.dataset.key.startsWith("<"))`)
	if eval[bool](b, `"hit" in window || document.querySelectorAll("td img, td svg, td script").length > 0`) {
		t.Error("a key became part of the page")
	}
	b.do(chromedp.KeyEvent("\u001b"))
	b.await(`document.querySelector("#search").value === "" && document.activeElement !== document.querySelector("#search")`)
	b.clean("under load")

	if os.Getenv("PICCOLO_PICTURES") != "" {
		b.do(chromedp.Sleep(25 * time.Second))
		eval[bool](b, `document.querySelector("[data-span='60']").click(); document.querySelector("#search").value = "page/1"; document.querySelector("#search").dispatchEvent(new Event("input"))`)
		b.picture("dark", 1320, 900, "dark")
		b.picture("light", 1320, 900, "light")
		b.picture("phone-dark", 390, 860, "dark")
		b.picture("phone-light", 390, 860, "light")
		b.picture("tablet", 900, 860, "light")
	}

	// The service goes away and comes back, and the page with it.
	stop()
	clients.Wait()
	p.stop()
	b.await(`document.querySelector("#state").textContent.includes("away")`)
	b.mu.Lock()
	b.problems = nil // it says that nobody answered
	b.mu.Unlock()
	again := prepare(t, "all-in-one", "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "off", "--admin", strings.TrimPrefix(admin, "http://"))
	again.run()
	b.await(`document.querySelector("#state").textContent.startsWith("live")`)
	b.mu.Lock()
	b.problems = nil // it says that nobody answered, until somebody did
	b.mu.Unlock()
	ctx, stop = context.WithCancel(t.Context())
	load(again.api)
	b.await(`/^[1-9]/.test(document.querySelector(".big[data-v=accepted]").textContent) && document.querySelector("#conservation").textContent.includes("nothing lost")`)
	eval[bool](b, `document.querySelector("#search").value = "page/1"; document.querySelector("#search").dispatchEvent(new Event("input"))`)
	b.await(`document.querySelector("#found td")?.textContent === "page/1"`)
	value = b.text("#found td.n")
	b.await(fmt.Sprintf(`document.querySelector("#found td.n").textContent !== %q`, value))
	b.clean("after a restart")
	stop()
	clients.Wait()
	again.stop()
}

// adminOf is the address of the admin listener that the greeting tells.
func adminOf(p *process) string {
	for line := range strings.Lines(p.greeting) {
		if name, address, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == "admin" {
			return strings.TrimSpace(address)
		}
	}
	p.t.Fatalf("no admin in %s", p.greeting)
	return ""
}

// increment sends one, and does not mind when the service is gone.
func increment(ctx context.Context, api, key string, value int, ack string) {
	body := neturl.Values{"key": {key}, "value": {fmt.Sprint(value)}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, api+"/increment?ack="+ack, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			time.Sleep(10 * time.Millisecond)
		}
		return
	}
	_ = res.Body.Close()
}
