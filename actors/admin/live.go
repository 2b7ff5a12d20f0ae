package admin

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/piccolo-counter/piccolo"
)

//go:embed page
var page embed.FS

// Lookup reads the committed numbers whose keys start with prefix, in the order
// of their keys, at most limit of them. Where it cannot read all, it returns what
// it can, with an error that says what is missing.
type Lookup func(ctx context.Context, prefix string, limit int) ([]piccolo.Number, error)

// watchers bounds how many pages are served at once.
const watchers = 64

// live serves the page and what it shows.
type live struct {
	deployment *Deployment
	lookup     Lookup
	watching   chan struct{} // holds a token a page
}

func (l *live) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { asset(w, r, "index.html") })
	mux.HandleFunc("GET /page/{file}", func(w http.ResponseWriter, r *http.Request) { asset(w, r, r.PathValue("file")) })
	mux.HandleFunc("GET /events", l.events)
	mux.HandleFunc("GET /find", l.find)
}

// asset serves a file of the page. It is never kept: the next version of the
// program may be behind the same address.
func asset(w http.ResponseWriter, r *http.Request, name string) {
	types := map[string]string{".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
	data, err := page.ReadFile("page/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", types[path.Ext(name)]+"; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(data)
}

// events sends the points there are, and then a snapshot a second, as
// server-sent events.
func (l *live) events(w http.ResponseWriter, r *http.Request) {
	select {
	case l.watching <- struct{}{}:
		defer func() { <-l.watching }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages watch already.", watchers), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	out := http.NewResponseController(w)
	send := func(event string, v any) bool {
		data, err := json.Marshal(v)
		if err != nil {
			return false
		}
		_ = out.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a page that is gone must not be waited for
		_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data)
		return err == nil && out.Flush() == nil
	}
	_, _ = io.WriteString(w, "retry: 1000\n\n")
	s, changed := l.deployment.Now()
	if !send("points", l.deployment.Points()) {
		return
	}
	for send("snapshot", shown(s)) {
		select {
		case <-changed:
			s, changed = l.deployment.Now()
		case <-r.Context().Done():
			return
		}
	}
}

// shown is a snapshot for the page. Values are text in it, since a number of
// JavaScript does not hold every int64.
func shown(s Snapshot) any {
	type hot struct {
		piccolo.Hot
		Value *int64 `json:"value,omitempty,string"`
	}
	hottest := make([]hot, len(s.Hottest))
	for i, h := range s.Hottest {
		hottest[i] = hot{h, h.Value}
	}
	return struct {
		Snapshot
		Hottest []hot `json:"hottest"`
	}{s, hottest}
}

// foundKeys is how many keys a search shows.
const foundKeys = 12

// find answers with the keys that start with ?prefix= and their values now, as
// text, too, and with what is missing, if anything is.
func (l *live) find(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	numbers, err := l.lookup(ctx, r.URL.Query().Get("prefix"), foundKeys)
	if err != nil && len(numbers) == 0 {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	type number struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	found := struct {
		Numbers []number `json:"numbers"`
		Missing string   `json:"missing"`
	}{Numbers: []number{}}
	for _, n := range numbers {
		found.Numbers = append(found.Numbers, number{n.Key, strconv.FormatInt(n.Value, 10)})
	}
	if err != nil {
		found.Missing = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(found)
}
