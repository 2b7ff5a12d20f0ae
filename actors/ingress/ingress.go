// Package ingress is the HTTP door: it takes increments, reduces them to one
// delta per key and batch, has the batches stored in the stream, and replies.
//
//	routes ──► decode ──► reducer ──► flusher ──► stream
//	   ◄── reply ◄── as much as the request asked to wait for
//
// HTTP server, reducers and flushers are one actor, because one must drain into
// the next when it stops.
package ingress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// Reader has a query answered by the writer that owns a partition.
type Reader interface {
	Query(ctx context.Context, partition int, q piccolo.Query) (piccolo.Answer, error)
}

// Config is what an ingress needs. Every field is needed, but for those that
// say what nil means.
type Config struct {
	Listener   net.Listener
	TLS        *Certificate // nil for HTTP in the clear
	Tokens     *Tokens      // nil for requests from anyone
	Producer   string
	Partitions int
	Stream     Publisher
	MaxMessage int // bytes of a message's data that the stream takes
	Reader     Reader
	Observer   Observer
	Tracer     Tracer // nil for no traces
	Log        *slog.Logger
	Spool      string // a directory

	Ack           piccolo.Ack // what a reply waits for when the request does not say
	AckTimeout    time.Duration
	FlushInterval time.Duration
	Freshness     time.Duration // how old an increment may be when it is committed; 0: there is only the interval
	DrainTimeout  time.Duration // for a stop to have everything stored, before it is spooled
	MaxKeys       int
	MaxBody       int
	MaxKeyBytes   int
	MaxWatchers   int
}

// Ingress is the actor. Make it with New.
type Ingress struct {
	Config
	server   *fasthttp.Server
	reducers []*reducer
	flushers []*flusher
	keys     *budget
	waiting  *waiting
	recent   recent
	patience *patience
	traces   *traces
	replies  Replies
	silent   silent
	writers  atomic.Pointer[[]int] // a partition of each, as far as is known
	watchers watchers

	intakes  sync.Pool          // of *intake
	bodies   sync.Pool          // of *[]byte, for single increments
	memory   memory             // of bodies with many increments
	gzips    sync.Pool          // of *gzip.Reader
	zstds    chan *zstd.Decoder // as many as may be at work, nil where there is none yet
	counting sync.RWMutex       // held for reading by whoever counts many increments at once
	closed   bool               // nothing is counted any more

	refuse      atomic.Pointer[error] // why nothing more may be counted, if so
	unpublished atomic.Pointer[error] // what of the spool of an earlier process cannot be published, if so
	draining    atomic.Bool
	bye         chan struct{} // closed when a stop begins
	stop        chan struct{}
	stopOnce    sync.Once
	done        chan struct{} // closed when Execute has returned
}

// New makes an ingress. It takes requests once Execute runs.
func New(c Config) (*Ingress, error) {
	room := c.MaxMessage - piccolo.MaxHeaderSize
	if need := piccolo.MaxDeltaSize(c.MaxKeyBytes); room < need {
		return nil, fmt.Errorf("a key of %d bytes does not fit into a message of %d: lower --max-key-bytes or raise the NATS server's max_payload", c.MaxKeyBytes, c.MaxMessage)
	}
	in := &Ingress{
		Config:   c,
		keys:     &budget{max: int64(c.MaxKeys)},
		memory:   memory{max: max(8*int64(c.MaxBody), 64<<20)},
		zstds:    newZstds(),
		waiting:  newWaiting(2 * c.AckTimeout),
		patience: newPatience(c.AckTimeout),
		traces:   newTraces(c.Tracer),
		bye:      make(chan struct{}),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
	}
	for partition := range c.Partitions {
		r := newReducer(c.Producer, partition, room, in.keys)
		in.reducers = append(in.reducers, r)
		in.flushers = append(in.flushers, &flusher{
			storer:  storer{bus: c.Stream, observer: c.Observer, log: c.Log, state: &in.refuse},
			reducer: r,
			head:    r.tail.Load(),
			pace:    newPace(c.FlushInterval, c.Freshness),
			traces:  in.traces,
			waiting: in.waiting,
		})
	}
	in.watchers.max = c.MaxWatchers
	in.server = in.newServer()
	return in, nil
}

// Applied takes a writer's notice that batches have been committed.
func (in *Ingress) Applied(a piccolo.Applied) {
	if a.Partition < len(in.flushers) {
		in.flushers[a.Partition].pace.applied(a, time.Now())
	}
	in.recent.forget(a.Conflicts)
	in.waiting.applied(a)
}

// Execute serves until Interrupt is called or the listener fails. What it has
// counted is in the stream or in the spool when it returns nil.
func (in *Ingress) Execute() error {
	defer close(in.done)
	deadline, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	flush := make(chan struct{}) // closed when nothing is counted any more

	var flushers, old sync.WaitGroup
	left := make([][]piccolo.Message, len(in.flushers))
	for i, f := range in.flushers {
		flushers.Go(func() { left[i] = f.run(deadline, flush) })
	}
	spool := spool{in.Spool}
	old.Go(func() {
		// Its steps are its own: they would hide a flusher that is stuck.
		storer := storer{bus: in.Stream, observer: in.Observer, log: in.Log, state: &in.refuse}
		if err := spool.publish(deadline, storer.store); err != nil {
			in.Log.Error("the spool holds what cannot be published: it stays there, and is not counted", "error", err)
			in.unpublished.Store(&err)
		}
	})

	served := make(chan error, 1)
	go func() { served <- in.server.Serve(listener{in.Listener, in.TLS, &in.silent}) }()
	var failed error
	select {
	case failed = <-served:
	case <-in.stop:
	}

	timer := time.AfterFunc(in.DrainTimeout, giveUp)
	defer timer.Stop()
	in.drain()
	in.close()
	close(flush)
	flushers.Wait()
	giveUp() // on what an earlier process left: the spool keeps it
	old.Wait()
	errs := []error{failed}
	for _, messages := range left {
		if len(messages) > 0 {
			in.Log.Warn("batches go to the spool, the next start publishes them", "batches", len(messages), "spool", in.Spool)
		}
		errs = append(errs, spool.put(messages))
	}
	return errors.Join(errs...)
}

// close makes counting fail from now on. It waits for whoever counts many
// increments, so that none counts a part of them.
func (in *Ingress) close() {
	in.counting.Lock()
	defer in.counting.Unlock()
	in.closed = true
	for _, r := range in.reducers {
		r.close()
	}
}

// Interrupt stops the actor and returns when it has stopped, so that whoever
// is interrupted after it sees all that it published. It is safe to call when
// Execute has returned.
func (in *Ingress) Interrupt(error) {
	in.stopOnce.Do(func() { close(in.stop) })
	<-in.done
}

// grace is how long clients on open connections have, after the listener was
// closed, to take a reply that says Connection: close. A connection that is
// closed while a request is on its way leaves the client wondering.
const grace = 250 * time.Millisecond

// drain answers the requests in flight and closes every connection. In the
// second half of its time a reply no longer waits for anything: it says what
// holds by then, and so is given however long the ack timeout is.
func (in *Ingress) drain() {
	in.draining.Store(true)
	close(in.bye)
	_ = in.Listener.Close()
	time.Sleep(grace)
	in.silent.close()
	half := in.DrainTimeout / 2
	timer := time.AfterFunc(half, in.patience.end)
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), min(in.AckTimeout, half)+time.Second)
	defer cancel()
	if err := in.server.ShutdownWithContext(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		in.Log.Warn("connections were still busy when the ingress stopped", "error", err)
	}
}
