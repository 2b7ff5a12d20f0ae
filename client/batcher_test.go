package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/client"
)

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

// What is in memory only is not what was asked for, by default too: it is asked
// for again under the same key, and told of in the end.
func TestBatcherWithoutAStream(t *testing.T) {
	t.Parallel()
	var keys []string
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		inMemory(w, r)
	})
	var failed error
	b := connect(t, s, client.WithRetry(200*time.Millisecond)).NewBatcher(client.BatchOptions{
		Interval: time.Hour, Failed: func(err error, _ []client.Increment) { failed = err },
	})
	_ = b.Add(t.Context(), "a", 1)
	if err := b.Close(t.Context()); err != nil || !errors.Is(failed, client.ErrInMemory) {
		t.Errorf("%v, told of %v", err, failed)
	}
	if len(keys) < 2 || len(slices.Compact(keys)) != 1 {
		t.Errorf("keys %q: want one, again", keys)
	}
	b = connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour, Ack: client.Memory})
	_ = b.Add(t.Context(), "a", 1)
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("%v of what was asked for", err)
	}
}

func inMemory(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"ack":"memory","receipt":"p.0.1"}`)
}

// A server that takes the request and says nothing holds nobody up for longer
// than the context lets it.
func TestBatcherOfASilentServer(t *testing.T) {
	t.Parallel()
	s, _ := server(t, hang)
	var lost []client.Increment
	b := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour, Failed: func(_ error, i []client.Increment) { lost = i }})
	_ = b.Add(t.Context(), "a", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush: %v", err)
	}
	if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || len(lost) != 1 {
		t.Errorf("close: %v, told of %v", err, lost)
	}
}

// hang says nothing until the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// counter counts as the service does: whole requests, each key once. It refuses
// keys that start with "bad" by their index, and bodies that are too long.
type counter struct {
	limit int

	mu       sync.Mutex
	requests int
	bytes    int // of all bodies
	seen     map[string]bool
	sums     map[string]int64
}

func newCounter(limit int) *counter {
	return &counter{limit: limit, seen: make(map[string]bool), sums: make(map[string]int64)}
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.requests++
	c.bytes += len(body)
	c.mu.Unlock()
	if len(body) > c.limit {
		refuse(http.StatusRequestEntityTooLarge, true)(w, r)
		return
	}
	var increments []client.Increment
	for dec := json.NewDecoder(strings.NewReader(string(body))); dec.More(); {
		var i client.Increment
		_ = dec.Decode(&i)
		if strings.HasPrefix(i.Key, "bad") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"status":400,"detail":"increment %d","field":"key","index":%[1]d}`, len(increments))
			return
		}
		increments = append(increments, i)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if key := r.Header.Get("Idempotency-Key"); !c.seen[key] {
		c.seen[key] = true
		for _, i := range increments {
			c.sums[i.Key] += i.Value
		}
	}
	ok(w, r)
}

// What the server refuses takes nothing else with it, and what is too much for a
// request goes in several.
func TestBatcherSendsTheRest(t *testing.T) {
	t.Parallel()
	const keys = 500
	c := newCounter(2000) // bytes: some 80 keys
	s, _ := server(t, c.ServeHTTP)
	var lost []string
	b := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour, Failed: func(err error, refused []client.Increment) {
		var p *client.Problem
		if !errors.As(err, &p) || p.Unsure {
			t.Errorf("%v", err)
		}
		for _, i := range refused {
			lost = append(lost, i.Key)
		}
	}})
	for i := range keys {
		if err := b.Add(t.Context(), fmt.Sprint("k", i), int64(i)); err != nil {
			t.Error(err)
		}
	}
	huge := "bad" + strings.Repeat("x", 3000)
	for _, key := range []string{"bad1", "bad2", huge} {
		_ = b.Add(t.Context(), key, 1)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	slices.Sort(lost)
	if !slices.Equal(lost, []string{"bad1", "bad2", huge}) {
		t.Errorf("told of %d: %.100q", len(lost), lost)
	}
	if len(c.sums) != keys {
		t.Errorf("%d keys were counted, want %d", len(c.sums), keys)
	}
	for i := range keys {
		if key := fmt.Sprint("k", i); c.sums[key] != int64(i) {
			t.Errorf("%s is %d", key, c.sums[key])
		}
	}
}

// However many increments are refused, what is sent for it is a few times as much
// as they are, and those that are not do not each go alone.
func TestBatcherOfManyRefused(t *testing.T) {
	t.Parallel()
	const keys = 4000
	for name, refused := range map[string]func(int) bool{
		"all":        func(int) bool { return true },
		"every 2nd":  func(i int) bool { return i%2 == 0 },
		"every 50th": func(i int) bool { return i%50 == 0 },
		"one":        func(i int) bool { return i == keys/2 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCounter(1 << 20)
			s, _ := server(t, c.ServeHTTP)
			b := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour})
			bad, size := 0, 0
			for i := range keys {
				key := fmt.Sprintf("good%04d", i)
				if refused(i) {
					key = fmt.Sprintf("bad%05d", i)
					bad++
				}
				size += len(`{"key":"`+key+`","value":1}`) + 1
				if err := b.Add(t.Context(), key, 1); err != nil {
					t.Fatal(err)
				}
			}
			begun := time.Now()
			err := b.Close(t.Context())
			if err == nil {
				t.Fatal("the refusals went unnoticed")
			}
			said := err.Error()
			t.Logf("%d bytes in %d requests, of %d bytes with %d refused, %s", c.bytes, c.requests, size, bad, time.Since(begun))
			if want := fmt.Sprintf("and %d more", bad-16); len(said) > 1000 || (bad > 16) != strings.Contains(said, want) {
				t.Errorf("told of %q", said)
			}
			if len(c.sums) != keys-bad {
				t.Errorf("%d keys were counted, want %d", len(c.sums), keys-bad)
			}
			for key, sum := range c.sums {
				if sum != 1 {
					t.Errorf("%s is %d", key, sum)
				}
			}
			if c.bytes > 20*size || c.requests > 2*bad+20 {
				t.Errorf("%d bytes were sent for %d, in %d requests", c.bytes, size, c.requests)
			}
		})
	}
}

// What fails otherwise after a refusal is told of by itself, each increment once,
// and the rest is sent all the same.
func TestBatcherThatFailsAfterARefusal(t *testing.T) {
	t.Parallel()
	const keys = 100
	lostReply := func(c *counter) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			c.ServeHTTP(discard{w}, r)
			refuse(524, false)(w, r)
		}
	}
	for name, second := range map[string]func(*counter) http.HandlerFunc{
		"a proxy lost the reply": lostReply,
		"in memory":              func(*counter) http.HandlerFunc { return inMemory },
		"refused as a whole":     func(*counter) http.HandlerFunc { return refuse(403, true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCounter(1 << 20)
			s, asked := server(t, c.ServeHTTP, second(c), c.ServeHTTP)
			told := make(map[string]int)
			b := connect(t, s, client.WithRetry(0)).NewBatcher(client.BatchOptions{Interval: time.Hour, Failed: func(_ error, lost []client.Increment) {
				for _, i := range lost {
					told[i.Key]++
				}
			}})
			for i := range keys {
				_ = b.Add(t.Context(), fmt.Sprint("k", i), 1)
			}
			_ = b.Add(t.Context(), "bad", 1)
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if told["bad"] != 1 || len(told) < 2 || asked.Load() < 3 {
				t.Errorf("told of %v, asked %d times", told, asked.Load())
			}
			for i := range keys {
				key := fmt.Sprint("k", i)
				if told[key] > 1 || c.sums[key] > 1 || told[key] == 0 && c.sums[key] == 0 || told[key] == 1 && (c.sums[key] == 1) != (name == "a proxy lost the reply") {
					t.Errorf("%s was told of %d times, and is %d", key, told[key], c.sums[key])
				}
			}
		})
	}
}

// A service that goes away among refusals is waited for twice, not for each of
// the parts that are left.
func TestBatcherOfAServiceThatGoesAway(t *testing.T) {
	t.Parallel()
	const keys, refusals = 200, 10
	c := newCounter(1 << 20)
	s, asked := server(t, func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		gone := c.requests == refusals
		c.mu.Unlock()
		if gone {
			cut(w, r)
			return
		}
		c.ServeHTTP(w, r)
	})
	told := 0
	b := connect(t, s, client.WithRetry(0)).NewBatcher(client.BatchOptions{Interval: time.Hour, Failed: func(_ error, lost []client.Increment) { told += len(lost) }})
	for i := range keys {
		_ = b.Add(t.Context(), fmt.Sprint("bad", i), 1)
	}
	if err := b.Close(t.Context()); err != nil || told != keys || asked.Load() != refusals+2 {
		t.Errorf("%v, told of %d, asked %d times", err, told, asked.Load())
	}
}

// What may have been counted is not sent again under another key: a refusal
// speaks for one try only.
func TestBatcherAfterALostReply(t *testing.T) {
	t.Parallel()
	c := newCounter(1 << 20)
	s, _ := server(t,
		func(w http.ResponseWriter, r *http.Request) {
			c.ServeHTTP(discard{w}, r)
			cut(w, r)
		},
		refuse(http.StatusRequestEntityTooLarge, true), // an ingress with other settings
		c.ServeHTTP)
	var failed error
	b := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour, Failed: func(err error, _ []client.Increment) { failed = err }})
	_ = b.Add(t.Context(), "a", 1)
	_ = b.Add(t.Context(), "b", 1)
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	var p *client.Problem
	if !errors.As(failed, &p) || !p.Unsure || c.sums["a"] != 1 || c.sums["b"] != 1 {
		t.Errorf("told of %v, counted %v", failed, c.sums)
	}
}

// What a proxy answers for a service that has counted is told of as open, and is
// not sent again. One that would not pass on as much gets it in parts.
func TestBatcherBehindAProxy(t *testing.T) {
	t.Parallel()
	c := newCounter(1 << 20)
	late := func(w http.ResponseWriter, r *http.Request) {
		c.ServeHTTP(discard{w}, r)
		refuse(524, false)(w, r)
	}
	s, asked := server(t, refuse(http.StatusRequestEntityTooLarge, false), late, c.ServeHTTP)
	var failed error
	var lost []client.Increment
	b := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour, Failed: func(err error, i []client.Increment) { failed, lost = err, i }})
	_ = b.Add(t.Context(), "a", 1)
	_ = b.Add(t.Context(), "b", 1)
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	var p *client.Problem
	if !errors.As(failed, &p) || !p.Unsure || len(lost) != 1 || asked.Load() != 3 || c.sums["a"] != 1 || c.sums["b"] != 1 {
		t.Errorf("told of %v, %v, asked %d times, counted %v", failed, lost, asked.Load(), c.sums)
	}
}

// discard is a reply that never arrives.
type discard struct{ http.ResponseWriter }

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// A batch fits into one message, however long its keys.
func TestBatcherBoundsBytes(t *testing.T) {
	t.Parallel()
	c := newCounter(1 << 20)
	s, asked := server(t, c.ServeHTTP)
	b := connect(t, s).NewBatcher(client.BatchOptions{Interval: time.Hour})
	const keys = 2000
	for i := range keys {
		if err := b.Add(t.Context(), fmt.Sprintf("%01000d", i), 1); err != nil {
			t.Error(err)
		}
	}
	if err := b.Close(t.Context()); err != nil || len(c.sums) != keys || asked.Load() < 4 {
		t.Errorf("%v, %d keys in %d requests", err, len(c.sums), asked.Load())
	}
}
