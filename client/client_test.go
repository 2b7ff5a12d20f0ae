package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/client"
)

// server answers requests in turn, the last answer ever after.
func server(t *testing.T, answers ...http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(asked.Add(1))
		answers[min(n, len(answers))-1](w, r)
	}))
	t.Cleanup(s.Close)
	return s, &asked
}

func ok(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"ack":"stored","receipt":"p.0.1"}`)
}

func refuse(status int, own bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if own {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"status":%d,"detail":"because","field":"key"}`, status)
	}
}

// cut has the reply break off.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, `{"ack":`)
}

func connect(t *testing.T, s *httptest.Server, options ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(s.URL, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What may succeed later is tried again, and what may have been counted only
// under a key that has it count once.
func TestRetries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		option []client.CountOption
		tries  int64
	}{
		{"a reply that breaks off", cut, nil, 2},
		{"the service is busy", refuse(503, true), nil, 2},
		{"a proxy is busy", refuse(503, false), nil, 2},
		{"a proxy lost the reply", refuse(502, false), nil, 2},
		{"without a key: a reply that breaks off", cut, []client.CountOption{client.WithoutIdempotencyKey()}, 1},
		{"without a key: the service is busy", refuse(503, true), []client.CountOption{client.WithoutIdempotencyKey()}, 2},
		{"without a key: a proxy is busy", refuse(503, false), []client.CountOption{client.WithoutIdempotencyKey()}, 1},
		{"a mistake", refuse(400, true), nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var keys []string
			var mu sync.Mutex
			s, asked := server(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				keys = append(keys, r.Header.Get("Idempotency-Key"))
				first := len(keys) == 1
				mu.Unlock()
				if first {
					c.answer(w, r)
				} else {
					ok(w, r)
				}
			})
			_, err := connect(t, s).Increment(t.Context(), "k", 1, c.option...)
			if got := asked.Load(); got != c.tries || (err == nil) != (c.tries > 1) {
				t.Errorf("tried %d times, error %v; want %d", got, err, c.tries)
			}
			if len(keys) == 2 && keys[0] != keys[1] {
				t.Errorf("keys %q: another one is another increment", keys)
			}
			if c.option == nil && len(keys[0]) < 8 {
				t.Errorf("key %q", keys[0])
			}
		})
	}
}

// The server says when to come back, and the client's time bounds it all.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3600")
		refuse(503, true)(w, r)
	})
	var p *client.Problem
	if _, err := connect(t, s).Increment(t.Context(), "k", 1); !errors.As(err, &p) || p.RetryAfter != time.Hour || p.Detail != "because" || p.Field != "key" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	slow, _ := server(t, refuse(503, true))
	if _, err := connect(t, slow, client.WithRetry(time.Hour)).Increment(ctx, "k", 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// What bounds a call may end it when the last reply has just come.
func TestTimeIsOverWithTheReply(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, asked := server(t, refuse(503, true))
	c := connect(t, s, client.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		defer cancel()
		return http.DefaultTransport.RoundTrip(r.WithContext(t.Context()))
	})}))
	var p *client.Problem
	if _, err := c.Increment(ctx, "k", 1); !errors.Is(err, context.Canceled) || !errors.As(err, &p) || asked.Load() != 1 {
		t.Errorf("asked %d times, error %v; want that it was canceled, and what the one reply said", asked.Load(), err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNewRefuses(t *testing.T) {
	for _, url := range []string{"", "localhost:3333", "ftp://localhost", "http://"} {
		if _, err := client.New(url); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

// Many goroutines, one request: a batcher sends sums, and each key as it is.
func TestBatcher(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sums := make(map[string]int64)
	s, asked := server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		dec := json.NewDecoder(r.Body)
		for {
			var i client.Increment
			if err := dec.Decode(&i); err == io.EOF {
				break
			} else if err != nil {
				t.Error(err)
				break
			}
			sums[i.Key] += i.Value
		}
		ok(w, r)
	})
	b := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour, MaxKeys: 3})
	var adding sync.WaitGroup
	keys := []string{"a", "\"\\\n<ключ>", "b", "c", "d"}
	for range 20 {
		adding.Go(func() {
			for _, key := range keys {
				if err := b.Add(t.Context(), key, 2); err != nil {
					t.Error(err)
				}
			}
		})
	}
	adding.Wait()
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, key := range keys {
		if sums[key] != 40 {
			t.Errorf("%q is %d, want 40: %v", key, sums[key], sums)
		}
	}
	if asked.Load() == 0 {
		t.Error("nothing was sent")
	}
	if err := b.Add(t.Context(), "a", 1); !errors.Is(err, client.ErrClosed) {
		t.Errorf("%v after the close", err)
	}
}

// What is refused is told of, to whom it concerns.
func TestBatcherThatIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := server(t, refuse(400, true))
	var lost []client.Increment
	b := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour, Failed: func(_ error, i []client.Increment) { lost = i }})
	_ = b.Add(t.Context(), "a", 1)
	if err := b.Flush(t.Context()); err != nil || !slices.Equal(lost, []client.Increment{{Key: "a", Value: 1}}) {
		t.Errorf("%v, told of %v", err, lost)
	}
	b2 := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour})
	_ = b2.Add(t.Context(), "a", 1)
	if err := b2.Flush(t.Context()); err == nil {
		t.Error("the refusal went unnoticed")
	}
	if err := errors.Join(b2.Close(t.Context()), b.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

// A sum that would leave int64 is sent before it does.
func TestBatcherAtTheEndOfInt64(t *testing.T) {
	t.Parallel()
	var bodies []string
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		ok(w, r)
	})
	b := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour})
	for _, value := range []int64{1<<63 - 1, 1} {
		if err := b.Add(t.Context(), "k", value); err != nil {
			t.Error(err)
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if want := []string{`{"key":"k","value":9223372036854775807}` + "\n", `{"key":"k","value":1}` + "\n"}; !slices.Equal(bodies, want) {
		t.Errorf("%q", bodies)
	}
}

// Whatever way a stream of events is cut, its end is not taken for one.
func TestWatchComesBack(t *testing.T) {
	t.Parallel()
	var ids []string
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
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

func FuzzLinesAreJSON(f *testing.F) {
	f.Add("key", int64(1))
	f.Add("\"\\\n\x00<>&\u2028é", int64(-1<<63))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var got client.Increment
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		receipt, _ := json.Marshal(map[string]any{"ack": "stored", "receipt": fmt.Sprintf("%x %d", got.Key, got.Value)})
		_, _ = w.Write(receipt)
	}))
	defer s.Close()
	c, err := client.New(s.URL, client.WithRetry(0))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string, value int64) {
		counted, err := c.IncrementAll(t.Context(), []client.Increment{{Key: key, Value: value}})
		want := fmt.Sprintf("%x %d", strings.ToValidUTF8(key, "\uFFFD"), value)
		if err != nil || strings.ToValidUTF8(key, "\uFFFD") == key && counted.Receipt != want {
			t.Errorf("%q: %+v, %v", key, counted, err)
		}
	})
}
