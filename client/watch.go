package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Selection is what to watch: some keys, or those with a prefix, which may be
// empty for all.
type Selection struct {
	Keys   []string
	Prefix string
}

// EventKind is what an Event says.
type EventKind string

const (
	Changed EventKind = "changed" // Key has the total Value
	Deleted EventKind = "deleted" // Key is no more
	Reset   EventKind = "reset"   // forget what you have: all numbers follow
	Live    EventKind = "live"    // those were all; from here on come those that change
)

// Event is what a Watch tells.
type Event struct {
	Kind EventKind
	Number
}

const (
	rewatch  = time.Second
	silence  = 40 * time.Second // more than two heartbeats: nobody is there any more
	maxEvent = 1 << 20
)

// Watch tells of totals as they change, until the context ends or the caller
// has enough. It begins with a Reset and all numbers, and comes back by itself
// where it is cut off; no key that changed meanwhile is passed over. After an
// error there is nothing more.
func (c *Client) Watch(ctx context.Context, s Selection) iter.Seq2[Event, error] {
	q := url.Values{"key": s.Keys}
	if len(s.Keys) == 0 {
		q = url.Values{"prefix": {s.Prefix}}
	}
	return func(yield func(Event, error) bool) {
		w := &watch{client: c, path: withQuery("/v1/watch", q), yield: yield}
		for ctx.Err() == nil {
			err := w.stream(ctx)
			if w.enough {
				return
			}
			if err != nil && ctx.Err() == nil {
				yield(Event{}, err)
				return
			}
			select {
			case <-time.After(rewatch):
			case <-ctx.Done():
			}
		}
	}
}

type watch struct {
	client *Client
	path   string
	yield  func(Event, error) bool
	last   string // Last-Event-ID
	enough bool   // the caller wants no more
}

// stream opens a stream and reads it to its end. The time for trying again is
// that for opening it: one that was open was a success, however long nothing
// changed, and that it was cut off is no error.
func (w *watch) stream(ctx context.Context) error {
	var events *events
	err := w.client.retrying(ctx, true, func() (err error) {
		events, err = w.open(ctx)
		return err
	})
	if err != nil {
		return err
	}
	defer events.close()
	quiet := time.AfterFunc(silence, events.cancel)
	defer quiet.Stop()
	return w.read(events.body, func() { quiet.Reset(silence) })
}

// events is a stream that is open.
type events struct {
	body   io.ReadCloser
	cancel context.CancelFunc // ends it from elsewhere
}

func (e *events) close() {
	e.cancel()
	_ = e.body.Close()
}

// open asks for a stream.
func (w *watch) open(ctx context.Context) (*events, error) {
	r := &call{method: http.MethodGet, path: w.path, header: http.Header{}}
	if w.last != "" {
		r.header.Set("Last-Event-ID", w.last)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if limit := w.client.timeout; limit > 0 {
		late := time.AfterFunc(limit, func() { cancel(noReply(limit)) })
		defer late.Stop()
	}
	res, err := w.client.send(ctx, r)
	if err != nil {
		cancel(err)
		return nil, err
	}
	e := &events{res.Body, func() { cancel(nil) }}
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media != "text/event-stream" {
		e.close()
		return nil, fmt.Errorf("the reply to %s %s is %w: no stream of events but %q", r.method, r.path, errStrange, media)
	}
	return e, nil
}

// read tells of the events of a stream until it ends. Each line calls alive.
func (w *watch) read(stream io.Reader, alive func()) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(make([]byte, 4<<10), maxEvent)
	var name, data, id string
	var named bool
	for lines.Scan() {
		alive()
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if named {
				w.last = id
			}
			if data != "" {
				e, err := readEvent(name, data)
				if err != nil {
					return err
				}
				if !w.yield(e, nil) {
					w.enough = true
					return nil
				}
			}
			name, data, named = "", "", false
		case field == "event":
			name = value
		case field == "data":
			data = value
		case field == "id":
			id, named = value, true
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("an event is longer than %d bytes", maxEvent)
	}
	return nil // it was cut off
}

func readEvent(name, data string) (Event, error) {
	switch name {
	case "reset":
		return Event{Kind: Reset}, nil
	case "live":
		return Event{Kind: Live}, nil
	}
	var e struct {
		Number
		Deleted bool `json:"deleted"`
	}
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return Event{}, fmt.Errorf("an event cannot be read: %w", err)
	}
	if e.Deleted {
		return Event{Kind: Deleted, Number: e.Number}, nil
	}
	return Event{Kind: Changed, Number: e.Number}, nil
}
