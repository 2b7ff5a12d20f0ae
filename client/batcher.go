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
	Ack      Ack           // what a flush waits for; Stored where it is ""

	// Failed is told of increments that are not known to be counted as Ack
	// says, and why. They are out of the batcher's hands. A *Problem without
	// Unsure certainly counted nothing; ErrInMemory counted all of them, and a
	// crash of the server loses them; after anything else, nobody knows. Failed
	// must not call the batcher, which waits for it. Where it is nil, the next
	// call to Add, Flush or Close returns the errors, the first of many.
	Failed func(error, []Increment)
}

// maxBatchBytes is about how large the body of a request becomes: it has to fit
// into one message of any NATS server, since it goes under one key.
const maxBatchBytes = 512 << 10

// Batcher gathers increments and sends their sums, in one request for many. A
// request is sent under one idempotency key until it is answered, so each
// increment counts once.
type Batcher struct {
	client  *Client
	options BatchOptions

	mu     sync.Mutex
	open   *gathering
	failed untold
	closed bool

	due     chan struct{} // holds a token when it is time to send
	closing chan struct{} // closed by Close
	done    chan struct{} // closed when nothing is sent any more
	abandon context.CancelFunc
}

// gathering is what is sent together.
type gathering struct {
	sums  map[string]int64
	bytes int           // about as many as the body of the request will have
	taken chan struct{} // closed when nothing is added to it any more
	sent  chan struct{} // closed when it is counted, or told of as failed
}

func newGathering() *gathering {
	return &gathering{sums: make(map[string]int64), taken: make(chan struct{}), sent: make(chan struct{})}
}

// add adds an increment, where there is room for its key and its sum.
func (g *gathering) add(key string, value int64, maxKeys int) bool {
	sum, known := g.sums[key]
	if value >= 0 && sum > math.MaxInt64-value || value < 0 && sum < math.MinInt64-value {
		return false
	}
	if !known {
		if len(g.sums) > 0 && g.full(maxKeys) {
			return false
		}
		g.bytes += len(key) + len(`{"key":"","value":-9223372036854775808}`+"\n")
	}
	g.sums[key] = sum + value
	return true
}

func (g *gathering) full(maxKeys int) bool {
	return len(g.sums) >= maxKeys || g.bytes >= maxBatchBytes
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
	if o.Ack == "" {
		o.Ack = Stored
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &Batcher{
		client: c, options: o, open: newGathering(),
		due: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}), abandon: cancel,
	}
	go b.run(ctx)
	return b
}

// Add adds value to a key, sooner or later. It blocks while as much waits as
// may, until the context ends. Where it returns an error, nothing was added.
func (b *Batcher) Add(ctx context.Context, key string, value int64) error {
	for {
		b.mu.Lock()
		if err := b.refusal(); err != nil {
			b.mu.Unlock()
			return err
		}
		g := b.open
		added, full := g.add(key, value, b.options.MaxKeys), g.full(b.options.MaxKeys)
		b.mu.Unlock()
		if full || !added {
			b.hurry()
		}
		if added {
			return nil
		}
		select {
		case <-g.taken:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// refusal is why nothing can be added.
func (b *Batcher) refusal() error {
	err := b.failed.take()
	if err == nil && b.closed {
		err = ErrClosed
	}
	return err
}

// failure is what was not told of yet.
func (b *Batcher) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed.take()
}

func (b *Batcher) hurry() {
	select {
	case b.due <- struct{}{}:
	default:
	}
}

// Flush has sent what has been added, and returns once that is counted. Where
// the context ends first, it is sent all the same.
func (b *Batcher) Flush(ctx context.Context) error {
	b.mu.Lock()
	g := b.open
	b.mu.Unlock()
	b.hurry()
	select {
	case <-g.sent:
	case <-b.done: // nothing was added behind the close
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.failure()
}

// Close sends what is left, and ends the batcher. Where the context ends first,
// what is not answered by then is given up, and told of as failed.
func (b *Batcher) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	b.closed = true
	b.mu.Unlock()
	close(b.closing)
	defer b.abandon()
	select {
	case <-b.done:
		return b.failure()
	case <-ctx.Done():
		b.abandon()
		<-b.done
		return errors.Join(ctx.Err(), b.failure())
	}
}

// run sends, one request at a time: what comes meanwhile makes the next one
// larger.
func (b *Batcher) run(ctx context.Context) {
	defer close(b.done)
	tick := time.NewTicker(b.options.Interval)
	defer tick.Stop()
	for closing := false; !closing; {
		select {
		case <-tick.C:
		case <-b.due:
		case <-b.closing:
			closing = true
		}
		b.mu.Lock()
		g := b.open
		b.open = newGathering()
		b.mu.Unlock()
		close(g.taken)
		b.send(ctx, g.increments())
		close(g.sent)
	}
}

func (g *gathering) increments() []Increment {
	increments := make([]Increment, 0, len(g.sums))
	for key, sum := range g.sums {
		increments = append(increments, Increment{key, sum})
	}
	return increments
}
