package client

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// BatchOptions say when a Batcher sends what it has gathered. The zero value is
// good for most.
type BatchOptions struct {
	Interval time.Duration // the longest that an increment waits; 100 ms where it is 0
	MaxKeys  int           // sent at once, however soon; 10,000 where it is 0
	Ack      Ack           // what a flush waits for; the server's default where it is ""

	// Failed is told of increments that the server refused, or that could not
	// be sent for longer than the client retries. They are out of the batcher's
	// hands, and after a refusal certainly not counted. Where it is nil, the
	// next call to Add, Flush or Close returns the error.
	Failed func(error, []Increment)
}

// Batcher gathers increments and sends their sums, in one request for many. A
// request is sent under one idempotency key until it is answered, so each
// increment counts once.
type Batcher struct {
	client  *Client
	options BatchOptions

	mu      sync.Mutex
	sums    map[string]int64
	changed chan struct{} // closed, and made anew, when sums were taken away
	failed  error         // not told of yet
	closed  bool

	full    chan struct{} // holds a token when it is time to send
	sending sync.Mutex
	stop    context.CancelFunc
	ctx     context.Context
	done    chan struct{}
}

// ErrClosed : the Batcher has been closed.
var ErrClosed = errors.New("the batcher is closed")

// NewBatcher starts a batcher. Close ends it.
func (c *Client) NewBatcher(o BatchOptions) *Batcher {
	if o.Interval <= 0 {
		o.Interval = 100 * time.Millisecond
	}
	if o.MaxKeys <= 0 {
		o.MaxKeys = 10_000
	}
	b := &Batcher{
		client: c, options: o,
		sums: make(map[string]int64), changed: make(chan struct{}),
		full: make(chan struct{}, 1), done: make(chan struct{}),
	}
	b.ctx, b.stop = context.WithCancel(context.Background())
	go b.run()
	return b
}

// Add adds value to a key, sooner or later. It blocks while as many keys wait as
// may, until the context ends.
func (b *Batcher) Add(ctx context.Context, key string, value int64) error {
	for {
		b.mu.Lock()
		if err := b.refusal(); err != nil {
			b.mu.Unlock()
			return err
		}
		sum, known := b.sums[key]
		fits := value >= 0 && sum <= math.MaxInt64-value || value < 0 && sum >= math.MinInt64-value
		if fits && (known || len(b.sums) < b.options.MaxKeys) {
			b.sums[key] = sum + value
			full := len(b.sums) == b.options.MaxKeys
			b.mu.Unlock()
			if full {
				b.hurry()
			}
			return nil
		}
		changed := b.changed
		b.mu.Unlock()
		b.hurry()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// refusal is why nothing can be added.
func (b *Batcher) refusal() error {
	err := b.failed
	b.failed = nil
	if err == nil && b.closed {
		err = ErrClosed
	}
	return err
}

func (b *Batcher) hurry() {
	select {
	case b.full <- struct{}{}:
	default:
	}
}

// Flush sends what has been added, and returns once that is counted.
func (b *Batcher) Flush(ctx context.Context) error {
	b.send(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.failed
	b.failed = nil
	return err
}

// Close sends what is left, and ends the batcher.
func (b *Batcher) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	b.closed = true
	b.mu.Unlock()
	b.stop()
	<-b.done
	return b.Flush(ctx)
}

func (b *Batcher) run() {
	defer close(b.done)
	tick := time.NewTicker(b.options.Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-b.full:
		case <-b.ctx.Done():
			return
		}
		b.send(context.Background()) // a stop waits for it: half a request is no answer
	}
}

// send sends all there is, in one request. One is on its way at a time: what
// comes meanwhile makes the next one larger.
func (b *Batcher) send(ctx context.Context) {
	b.sending.Lock()
	defer b.sending.Unlock()
	b.mu.Lock()
	increments := make([]Increment, 0, len(b.sums))
	for key, sum := range b.sums {
		increments = append(increments, Increment{key, sum})
	}
	clear(b.sums)
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
	if len(increments) == 0 {
		return
	}
	options := []CountOption{}
	if b.options.Ack != "" {
		options = append(options, WithAck(b.options.Ack))
	}
	_, err := b.client.IncrementAll(ctx, increments, options...)
	if err == nil {
		return
	}
	if b.options.Failed != nil {
		b.options.Failed(err, increments)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = errors.Join(b.failed, err)
}
