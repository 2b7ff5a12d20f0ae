package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// Who takes the connection and says nothing, or only half of it, has not
// answered.
func TestServerThatHangs(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"silent": hang,
		"halfway": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"ack":`)
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := server(t, answer)
			c := connect(t, s, client.WithTimeout(10*time.Millisecond), client.WithRetry(0))
			var transport *url.Error
			if _, err := c.Increment(t.Context(), "k", 1); !errors.As(err, &transport) || !strings.Contains(err.Error(), "no reply within 10ms") {
				t.Errorf("%v", err)
			}
			s, asked := server(t, answer, ok)
			if _, err := connect(t, s, client.WithTimeout(200*time.Millisecond)).Increment(t.Context(), "k", 1); err != nil || asked.Load() < 2 {
				t.Errorf("asked %d times: %v", asked.Load(), err)
			}
		})
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
