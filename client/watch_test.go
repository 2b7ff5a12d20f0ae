package client_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piccolo-counter/piccolo/client"
)

// stream begins a stream of events.
func stream(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/event-stream") }

// Whatever way a stream of events is cut, its end is not taken for one.
func TestWatchComesBack(t *testing.T) {
	t.Parallel()
	var ids []string
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		stream(w)
		ids = append(ids, r.Header.Get("Last-Event-ID"))
		switch len(ids) {
		case 1:
			_, _ = io.WriteString(w, "retry: 1000\n\nevent: reset\ndata: {}\n\nid: a.1\ndata: {\"key\":\"k\",\"value\":1}\n\ndata: {\"key\":\"k\",\"val")
		case 2:
			refuse(503, true)(w, r)
		default:
			_, _ = io.WriteString(w, ": \n\nid: a.2\ndata: {\"key\":\"k\",\"deleted\":true}\n\n")
		}
	})
	var kinds []string
	for e, err := range connect(t, s).Watch(t.Context(), client.Selection{Keys: []string{"k"}}) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, string(e.Kind))
		if e.Kind == client.Deleted {
			break
		}
	}
	if got := strings.Join(kinds, " "); got != "reset changed deleted" || !slices.Equal(ids, []string{"", "a.1", "a.1"}) {
		t.Errorf("events %s, ids %q", got, ids)
	}
	mistaken, _ := server(t, refuse(400, true))
	for _, err := range connect(t, mistaken).Watch(t.Context(), client.Selection{}) {
		if err == nil {
			t.Error("an event from nowhere")
		}
	}
}

// Nothing has changed for longer than the client tries again, and then it is cut
// off: that is no failure to get through.
func TestWatchOfQuietKeysIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		c, err := client.New("http://piccolo", client.WithHTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			body, w := io.Pipe()
			opened++
			go func(first, second bool) {
				switch {
				case first:
					_, _ = io.WriteString(w, "event: reset\ndata: {}\n\nid: a.1\nevent: live\ndata: {}\n\n")
				case second: // for an hour
					for range 4 * 60 {
						time.Sleep(15 * time.Second)
						_, _ = io.WriteString(w, ": \n\n")
					}
				default:
					_, _ = io.WriteString(w, "id: a.2\ndata: {\"key\":\"k\",\"value\":2}\n\n")
				}
				_ = w.CloseWithError(io.ErrUnexpectedEOF)
			}(opened == 1, opened == 2)
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body}, nil
		})}))
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range c.Watch(t.Context(), client.Selection{Keys: []string{"k"}}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == client.Changed {
				break
			}
		}
		if opened != 3 {
			t.Errorf("it was opened %d times", opened)
		}
	})
}

// A stream is open for longer than a reply may take; one that never opens is
// asked for again.
func TestWatchOfASilentServer(t *testing.T) {
	t.Parallel()
	s, asked := server(t, hang)
	for _, err := range connect(t, s, client.WithTimeout(10*time.Millisecond), client.WithRetry(time.Second)).Watch(t.Context(), client.Selection{}) {
		if err == nil || !strings.Contains(err.Error(), "no reply within 10ms") {
			t.Errorf("%v", err)
		}
	}
	if asked.Load() < 2 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// Something else that answers is told at once.
func TestWatchOfSomethingElse(t *testing.T) {
	t.Parallel()
	s, asked := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	for _, err := range connect(t, s).Watch(t.Context(), client.Selection{}) {
		if err == nil || !strings.Contains(err.Error(), "is the URL right?") {
			t.Errorf("%v", err)
		}
	}
	if _, err := connect(t, s).Get(t.Context(), "k"); err == nil || !strings.Contains(err.Error(), "is the URL right?") {
		t.Errorf("%v", err)
	}
	if asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}
}
