// Package otlp sends spans to a collector, by OTLP over HTTP, in JSON.
//
// Nobody waits for it: spans go into a queue that drops what it has no room for,
// and a collector that is away costs spans and nothing else.
package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
)

const (
	queueSize = 2048            // spans that wait
	batchSize = 512             // spans in a request
	gather    = time.Second     // the longest that a span waits for others to go with
	timeout   = 5 * time.Second // of a request
	farewell  = time.Second     // for all that is left at a stop
)

// Exporter is an actor, and a tracer for others. Make it with New.
type Exporter struct {
	url      string
	resource Resource
	log      *slog.Logger
	client   http.Client

	queue   chan *piccolo.Span
	dropped atomic.Uint64 // of the queue, or not delivered
	away    bool          // the last request failed

	stop     chan struct{}
	stopOnce sync.Once
}

// Resource is what the spans are of.
type Resource struct {
	Version  string
	Instance string // tells processes apart
	Role     string // what the process does
}

// CheckURL says whether a collector may be at s: it is http://HOST:PORT, or
// https://, and has a path where the collector is below one.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not the URL of a collector, as in http://127.0.0.1:4318", s)
	}
	return nil
}

// New makes an exporter for the collector at a URL that CheckURL takes. Spans
// are sent once Execute runs.
func New(collector string, r Resource, log *slog.Logger) *Exporter {
	const path = "/v1/traces"
	return &Exporter{
		url:      strings.TrimSuffix(strings.TrimSuffix(collector, "/"), path) + path,
		resource: r,
		log:      log,
		client:   http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute}},
		queue:    make(chan *piccolo.Span, queueSize),
		stop:     make(chan struct{}),
	}
}

// Ended takes a span, which nobody changes any more. It never blocks.
func (e *Exporter) Ended(s *piccolo.Span) {
	select {
	case e.queue <- s:
	default:
		e.dropped.Add(1)
	}
}

// Dropped is how many spans were not delivered.
func (e *Exporter) Dropped() uint64 { return e.dropped.Load() }

// Execute sends spans until Interrupt is called, and then those that are left.
func (e *Exporter) Execute() error {
	defer e.client.CloseIdleConnections()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-e.stop
		time.AfterFunc(farewell, cancel)
	}()
	for {
		select {
		case s := <-e.queue:
			e.deliver(ctx, e.gather(s))
		case <-e.stop:
			for {
				select {
				case s := <-e.queue:
					e.deliver(ctx, e.gather(s))
				default:
					return nil
				}
			}
		}
	}
}

// Interrupt stops the actor.
func (e *Exporter) Interrupt(error) { e.stopOnce.Do(func() { close(e.stop) }) }

// gather waits a little for more to go with a span.
func (e *Exporter) gather(first *piccolo.Span) []*piccolo.Span {
	spans := []*piccolo.Span{first}
	timer := time.NewTimer(gather)
	defer timer.Stop()
	wait := timer.C
	stop := e.stop
	for len(spans) < batchSize {
		select {
		case s := <-e.queue:
			spans = append(spans, s)
			continue
		default:
		}
		if stop == nil {
			break
		}
		select {
		case s := <-e.queue:
			spans = append(spans, s)
		case <-wait:
			return spans
		case <-stop:
			stop = nil // what is in the queue still comes along
		}
	}
	return spans
}

// deliver sends spans, or drops them.
func (e *Exporter) deliver(ctx context.Context, spans []*piccolo.Span) {
	err := e.post(ctx, encode(e.resource, spans))
	if err != nil {
		e.dropped.Add(uint64(len(spans)))
		if !e.away {
			e.log.Warn("traces cannot be delivered, and are dropped until they can; nothing else is the worse for it", "collector", e.url, "error", err)
		}
	} else if e.away {
		e.log.Info("traces are delivered again", "collector", e.url, "dropped", e.dropped.Load())
	}
	e.away = err != nil
}

func (e *Exporter) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 512))
	if res.StatusCode/100 != 2 {
		return errors.New(strings.TrimSpace("the collector says " + res.Status + " " + string(said)))
	}
	return err
}
