// Package writer folds batches from the stream into the database.
//
//	fetch ──► decode ──► gather ──► fold ──► commit ──► ack ──► notice ──► trim
//	                     widens     skips what the ledger has
//	                     with load
//
// Its one promise is that numbers and ledger change together: whatever comes
// twice, late, or in another order is told by the ledger, and an ack is sent
// only for what has been committed.
package writer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/internal/crashpoint"
)

// Stream is what a writer needs of the stream.
type Stream interface {
	// Subscribe has messages delivered from one goroutine, at least once, the
	// first time in the stream's order, until stop is called or failed was.
	Subscribe(ctx context.Context, partition int, deliver func(piccolo.Delivery), failed func(error)) (stop func(), err error)
	State(ctx context.Context, partition int) (piccolo.StreamState, error)
	// Next returns the StreamSeq of the first message at or after seq, 0
	// where there is none.
	Next(ctx context.Context, partition int, seq uint64) (uint64, error)
	// Stored returns when that message was stored, the zero time where there
	// is none.
	Stored(ctx context.Context, partition int, seq uint64) (time.Time, error)
	// Rewind has everything that the stream holds delivered again.
	Rewind(ctx context.Context, partition int) error
	Trim(ctx context.Context, partition int, upto uint64) error
	Announce(*piccolo.Applied) error
}

// Store is what a writer needs of the database.
type Store interface {
	Ledger(context.Context) (*piccolo.Ledger, error)
	Positions(context.Context) (map[int]piccolo.Position, error)
	// Commit does all of a fold or nothing. After piccolo.ErrNoRoom and
	// piccolo.ErrLocked it may be asked again, once the ledger has been read
	// again; after any other error it may not.
	Commit(context.Context, *piccolo.Fold) (piccolo.Folded, error)
	// Values reads the committed numbers of keys; one never counted is left
	// out.
	Values(ctx context.Context, keys []string) ([]piccolo.Number, error)
	// Page reads a page of those in some partitions, and whether there are
	// more behind it.
	Page(ctx context.Context, p *piccolo.Page, partitions []int) ([]piccolo.Number, bool, error)
	// Spent returns those of the tokens that have been counted in a partition.
	Spent(ctx context.Context, partition int, tokens []piccolo.Token) ([]piccolo.Spent, error)
	// Totals returns the totals of keys, their quarantine included, modulo
	// 2^64; 0 for a key that is not there.
	Totals(ctx context.Context, keys []string) (map[string]int64, error)
}

// Observer is told of every commit.
type Observer interface {
	Committed(piccolo.Commit)
	// Rewound is told that all of the stream is read again.
	Rewound()
	// Lost is told of batches that are neither in the ledger nor in the
	// stream.
	Lost(batches uint64)
	// Gone is told that the stream was trimmed, or purged, of messages that the
	// database never got: at most so many batches are lost. What a gap in the
	// ledger shows of them later, Lost is told again.
	Gone(atMost uint64)
	// Damaged is told how many bytes of the stream the server could not read.
	Damaged(bytes uint64)
}

// Tracer takes spans that have ended. It does not block.
type Tracer interface {
	Ended(*piccolo.Span)
}

// Config is what a writer needs. Every field is needed, but for GrewFrom,
// Provision, Silence and Tracer.
type Config struct {
	Partitions []int // that it owns
	Of         int   // how many the stream has
	GrewFrom   int   // how many it was made with; 0 where it has not grown
	Stream     Stream
	Store      Store
	Observer   Observer
	Tracer     Tracer // nil for no traces
	Log        *slog.Logger

	// Freshness is how old an increment may be when it is committed, as long
	// as the machine keeps up: the time that the writer may gather batches in
	// to fold them together.
	Freshness time.Duration
	// Retain is how long committed batches stay in the stream: after the
	// commit, or of those from before the start, after they were stored.
	Retain time.Duration
	// TokenTTL is for how long the Idempotency-Key of a batch is known after
	// the batch was stored.
	TokenTTL time.Duration
	// DrainTimeout bounds how long a stop folds what the stream held when it
	// began.
	DrainTimeout time.Duration
	// Provision makes the stream again where it has been deleted; nil leaves
	// that to the operator.
	Provision func(context.Context) error
	// Silence is how long the stream may leave questions about a partition
	// unanswered before the writer ends; 0 waits for ever. A server in the same
	// process that has come upon what it cannot read may hang for good, and is
	// started anew with the process; one elsewhere is the operator's.
	Silence time.Duration
}

// Writer is the actor. Make it with Open.
type Writer struct {
	Config
	in        chan piccolo.Delivery
	urge      chan struct{} // holds a token when a read waits for a commit
	urged     atomic.Int32  // how many do
	partition map[int]*partition
	owned     []*partition // in the order of Partitions, so that a run can be repeated
	gear      gear
	damaged   uint64       // bytes, of the stream, that have been reported
	unfolded  []*delivered // fetched, not yet committed

	subscribed atomic.Int32          // to how many partitions
	refused    atomic.Pointer[error] // by the database, which is asked again; nil where it was not
	steps      atomic.Uint64         // see Progress
	held       atomic.Int64          // len(unfolded), for others to read
	passed     passed

	mu        sync.Mutex // guards what readers see
	ledger    *piccolo.Ledger
	committed chan struct{} // closed, and made anew, after every commit
	oldest    time.Time     // when the oldest batch that is fetched and not committed was accepted

	largest largest
	changes changes

	cancel   context.CancelFunc
	ctx      context.Context // ends when Execute does
	stop     chan struct{}
	stopOnce sync.Once
	done     chan struct{}
}

// delivered is a message in the hands of the writer.
type delivered struct {
	piccolo.Delivery
	batch piccolo.Batch
	sets  bool  // one of its deltas does not add
	wants bool  // somebody waits for the total of one of its keys
	bad   error // why it is no batch
	away  error // why it is not for this writer to count
}

// none says whether the message adds nothing, and is told of to nobody.
func (m *delivered) none() bool { return m.bad != nil || m.away != nil }

// Open reads the ledger, subscribes to the stream, and makes a writer that goes
// on from there once Execute runs.
func Open(ctx context.Context, c Config) (*Writer, error) {
	w := &Writer{
		Config:    c,
		in:        make(chan piccolo.Delivery, 256),
		urge:      make(chan struct{}, 1),
		partition: make(map[int]*partition),
		gear:      gear{freshness: c.Freshness},
		committed: make(chan struct{}),
		stop:      make(chan struct{}),
		done:      make(chan struct{}),
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if err := w.load(ctx); err != nil {
		w.cancel()
		return nil, err
	}
	for _, p := range w.owned {
		if err := w.attach(p); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Close releases a writer that was opened and is not, or no longer, executed.
func (w *Writer) Close() {
	w.cancel()
	w.detach()
}

// load reads ledger and positions from the database.
func (w *Writer) load(ctx context.Context) error {
	ledger, err := w.Store.Ledger(ctx)
	if err != nil {
		return err
	}
	positions, err := w.Store.Positions(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.ledger = ledger
	w.mu.Unlock()
	for _, n := range w.Partitions {
		p := w.partition[n]
		if p == nil {
			p = &partition{number: n, failed: make(chan error, 1)}
			w.partition[n] = p
			w.owned = append(w.owned, p)
		}
		p.position = positions[n]
	}
	w.divide()
	return nil
}

// Execute folds until Interrupt is called or the database fails. When it
// returns nil, it has committed all that the stream held when it was
// interrupted.
func (w *Writer) Execute() error {
	defer close(w.done)
	defer w.Close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case d := <-w.in:
			if err := w.foldFrom(d); err != nil {
				return err
			}
		case <-tick.C:
			if err := w.tend(); err != nil {
				return err
			}
		case <-w.stop:
			return w.drain()
		}
	}
}

// Interrupt stops the actor and returns when it has stopped.
func (w *Writer) Interrupt(error) {
	w.stopOnce.Do(func() { close(w.stop) })
	<-w.done
}

// Check says whether the writer is subscribed to all of its partitions, and the
// database takes what it folds.
func (w *Writer) Check(context.Context) error {
	if n := int(w.subscribed.Load()); n < len(w.Partitions) {
		return fmt.Errorf("subscribed to %d of %d partitions", n, len(w.Partitions))
	}
	if err := w.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// foldFrom folds a message, and what comes with it.
func (w *Writer) foldFrom(d piccolo.Delivery) error {
	w.take(d)
	w.gather()
	return w.fold()
}

// take decodes a message and puts it with those to be folded.
func (w *Writer) take(d piccolo.Delivery) {
	w.passed.fetched.Add(1)
	m := &delivered{Delivery: d}
	if m.bad = m.Decode(&m.batch); m.bad == nil && (m.JSON || w.partition[m.Partition].divided) {
		m.away = w.misplaced(m)
	}
	w.unfolded = append(w.unfolded, m)
	w.held.Store(int64(len(w.unfolded)))
	w.gear.batches++
	w.gear.bytes += len(m.Data)
	if m.none() {
		return
	}
	w.gear.arrived(time.Now())
	w.gear.deltas += m.batch.Keys()
	for i := range m.batch.Onces {
		m.wants = m.wants || wantTotal(m.batch.Onces[i].Deltas)
	}
	for i := range m.batch.Deltas {
		d := &m.batch.Deltas[i]
		m.wants = m.wants || d.WantTotal
		m.sets = m.sets || d.Op != piccolo.OpAdd
	}
	w.gear.urgent = w.gear.urgent || m.wants
	if accepted := m.batch.Accepted; w.gear.oldest.IsZero() || accepted.Before(w.gear.oldest) {
		w.gear.oldest = accepted
		w.mu.Lock()
		w.oldest = accepted
		w.mu.Unlock()
	}
}

// gather takes more messages, for as long as the gear has it.
func (w *Writer) gather() {
	select {
	case <-w.urge: // left by a read that has been answered, or is seen in urged
	default:
	}
	timer := time.NewTimer(w.gear.window(time.Now()))
	defer timer.Stop()
	for !w.gear.full() && !w.gear.urgent && w.urged.Load() == 0 {
		select {
		case d := <-w.in:
			w.take(d)
			continue
		case <-w.urge:
		case <-w.stop:
		case <-timer.C:
		}
		break
	}
	// What has arrived by now comes along for nothing.
	for !w.gear.full() {
		select {
		case d := <-w.in:
			w.take(d)
			continue
		default:
		}
		break
	}
}

// fold commits what has been gathered, acks it and tells of it. A disk that is
// full and a database that is locked are waited for.
func (w *Writer) fold() error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := w.commit()
		w.steps.Add(1)
		if !errors.Is(err, piccolo.ErrNoRoom) && !errors.Is(err, piccolo.ErrLocked) {
			return err
		}
		w.refused.Store(&err)
		w.Log.Error("cannot commit now, trying again", "error", err, "batches", len(w.unfolded), "in", wait)
		select {
		case <-time.After(wait):
		case <-w.stop:
			return fmt.Errorf("stopped with %d batches not committed, the stream keeps them: %w", len(w.unfolded), err)
		}
		if err := w.load(w.ctx); err != nil {
			return err
		}
	}
}

func (w *Writer) commit() error {
	start := time.Now()
	s, err := w.sum()
	if err != nil {
		return err
	}
	crashpoint.Here("commit.before")
	folded, err := w.Store.Commit(w.ctx, &s.fold)
	if err != nil {
		return fmt.Errorf("commit of %d batches: %w", len(w.unfolded), err)
	}
	crashpoint.Here("commit.after")
	now := time.Now()

	w.mu.Lock()
	s.draft.Commit()
	w.oldest = time.Time{}
	close(w.committed)
	w.committed = make(chan struct{})
	w.mu.Unlock()
	w.changes.committed(s.fold.Deltas)
	for n, p := range s.fold.Positions {
		w.partition[n].position = p
	}
	// Invariant: the ack comes after the commit.
	for _, m := range w.unfolded {
		if err := m.Acker.Ack(); err != nil {
			w.Log.Debug("an ack was not sent, the batch comes again", "error", err)
		} else {
			w.passed.acked.Add(1)
		}
	}
	crashpoint.Here("ack.after")
	w.announce(s, folded)
	w.report(s, folded, now.Sub(start), now)
	w.trace(s, folded, start, now)
	clear(w.unfolded) // or the messages would be kept until as many have come again
	w.unfolded = w.unfolded[:0]
	w.held.Store(0)
	w.refused.Store(nil)
	w.gear.folded(now.Sub(start), now)
	return nil
}

func (w *Writer) report(s *sum, folded piccolo.Folded, took time.Duration, now time.Time) {
	c := piccolo.Commit{
		Batches:    len(w.unfolded),
		Duplicates: s.duplicates,
		Increments: s.increments,
		Skipped:    s.skipped,
		Rows:       folded.Rows,
		Deltas:     s.fold.Deltas,
		Rejected:   len(s.fold.Rejected),
		Took:       took,
	}
	c.Quarantine.In, c.Quarantine.Out = folded.Quarantined.Deltas, folded.Released.Deltas
	for _, m := range w.unfolded {
		if !m.none() {
			c.Freshness = append(c.Freshness, now.Sub(m.batch.Accepted))
		}
	}
	for _, conflicts := range s.conflicts {
		c.Conflicts += len(conflicts)
	}
	w.Observer.Committed(c)
	if c.Conflicts > 0 {
		w.Log.Warn("requests came under an Idempotency-Key that stands for another, and were not counted", "requests", c.Conflicts)
	}
	if q := folded.Quarantined; q.Deltas > 0 {
		w.Log.Error("sums would leave int64, their deltas are in the quarantine", "deltas", q.Deltas, "keys", q.Keys, "some", q.Some)
	}
	if q := folded.Released; q.Deltas > 0 {
		w.Log.Info("deltas fit again, or were overwritten, and have left the quarantine", "deltas", q.Deltas, "keys", q.Keys, "some", q.Some)
	}
	for _, r := range s.fold.Rejected {
		w.Log.Error("a message of the stream was put into the table rejected", "partition", r.Partition, "streamSeq", r.StreamSeq, "reason", r.Reason)
	}
}
