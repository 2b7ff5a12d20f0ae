package ingress

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// stripes of one reducer. More than the cores of a machine, so that two
// requests seldom meet on a lock.
const stripes = 32

// reducer sums the increments of one partition to one delta per key and batch.
//
// It is a queue of open batches. Nearly always there is one, which the flusher
// seals while the next is opened behind it. When the stream is away, a batch
// that is as large as a message may be is followed by another; a key that has
// a delta in an open batch goes on being summed there. So memory grows with
// distinct keys, not with requests, and every increment is in exactly one
// batch, whose seq is known when it is counted.
type reducer struct {
	producer  string
	partition int
	limit     int64 // bytes that the deltas of one batch may take on the wire
	budget    *budget
	opened    chan struct{} // holds a token when a batch got its first delta

	tail    atomic.Pointer[pending] // new deltas go here
	stripes [stripes]stripe
	once    onceStripe
}

type stripe struct {
	mu      sync.Mutex
	closed  bool
	warm    int64    // of no meaning, see reduceLot
	counted uint64   // increments, ever
	entries table    // keys are kept from one batch to the next, to be found without allocating
	spare   []*entry // what the last sealed batch listed, to be used again
	_       [64]byte // the next lock is on another cache line
}

// pending is a batch from its opening until its outcome is known.
type pending struct {
	id       piccolo.BatchID
	receipt  []byte       // the id as text
	replies  [3][]byte    // what a reply says that has no total, by ack
	accepted atomic.Int64 // when its first increment was, Unix time in ns; 0 before
	bytes    atomic.Int64 // that its deltas take on the wire
	next     atomic.Pointer[pending]
	lots     [stripes]lot // each guarded by the lock of its stripe
	onces    []piccolo.Once

	waiters   atomic.Int32  // replies that wait for it
	crowd     int32         // how many waited for the batch before: they may be back soon
	due       chan struct{} // holds a token when the flusher should look at it
	wantTotal atomic.Bool

	stored  chan struct{} // closed when the stream has it
	applied chan struct{} // closed when the database has it
	totals  map[string]int64

	conflicts []piccolo.Claim // of its onces, once applied is closed

	callers callers
}

// lot is what one stripe has in a batch.
type lot struct {
	entries    []*entry
	increments uint64
}

func newReducer(producer string, partition int, limit int, b *budget) *reducer {
	r := &reducer{
		producer:  producer,
		partition: partition,
		limit:     int64(limit),
		budget:    b,
		opened:    make(chan struct{}, 1),
	}
	r.tail.Store(r.newPending(1, 0))
	return r
}

func (r *reducer) newPending(seq uint64, crowd int32) *pending {
	p := &pending{
		id:      piccolo.BatchID{Producer: r.producer, Partition: r.partition, Seq: seq},
		crowd:   crowd,
		due:     make(chan struct{}, 1),
		stored:  make(chan struct{}),
		applied: make(chan struct{}),
	}
	p.receipt = p.id.Append(nil)
	for ack := range p.replies {
		p.replies[ack] = appendReply(nil, piccolo.Ack(ack), p.receipt, nil)
	}
	return p
}

// add counts one increment and returns the batch that carries it. After an
// error nothing has been counted. key may be reused by the caller.
func (r *reducer) add(hash uint64, key []byte, value int64, wantTotal bool) (*pending, error) {
	i := stripeOf(hash)
	s := &r.stripes[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, piccolo.ErrStopping
	}
	e, ok := r.reduce(hash, key, value, &purse{budget: r.budget})
	if !ok {
		return nil, piccolo.ErrBusy
	}
	e.batch.lots[i].increments++
	s.counted++
	if wantTotal {
		e.wantTotal()
	}
	return e.batch, nil
}

// stripeOf chooses a stripe: the low bits of a hash chose the partition.
func stripeOf(hash uint64) int { return int(hash >> 32 % stripes) }

// reduce adds value to the delta of key, and returns where that is. It returns
// false, and has added nothing, where it takes more than the purse has. The lock
// of the stripe is held, whose holder counts the increment.
func (r *reducer) reduce(hash uint64, key []byte, value int64, from *purse) (*entry, bool) {
	s := &r.stripes[stripeOf(hash)]
	e, ok := s.find(hash, key, from)
	if !ok {
		return nil, false
	}
	return r.reduceTo(e, hash, value, from)
}

// reduceTo adds value to the delta of e, whose key has this hash, as reduce does.
func (r *reducer) reduceTo(e *entry, hash uint64, value int64, from *purse) (*entry, bool) {
	i := stripeOf(hash)
	s := &r.stripes[i]
	if e.batch == nil {
		e.delta = value
		r.join(s, i, e)
	} else if sum, ok := piccolo.Add(e.delta, value); ok {
		e.delta = sum
		if e.op == piccolo.OpRemove {
			e.op = piccolo.OpSet // there is something again, if it is 0
		}
	} else {
		// The sum leaves int64: the delta stays in its batch as it is, and
		// the key gets another.
		if !from.take() {
			return nil, false
		}
		e.left = true
		e = &entry{key: e.key, delta: value}
		s.entries.put(hash, e)
		r.join(s, i, e)
	}
	return e, true
}

// set has the batch that it returns set or remove the key. What the batch held
// of the key is overwritten, and what is added to it from now on is on top.
// After an error nothing is set.
func (r *reducer) set(key []byte, d piccolo.Delta) (*pending, error) {
	hash := piccolo.Hash(key)
	i := stripeOf(hash)
	s := &r.stripes[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, piccolo.ErrStopping
	}
	e, ok := s.find(hash, key, &purse{budget: r.budget})
	if !ok {
		return nil, piccolo.ErrBusy
	}
	e.delta, e.op = d.Value, d.Op
	if e.batch == nil {
		r.join(s, i, e)
	}
	if d.WantTotal {
		e.wantTotal()
	}
	return e.batch, nil
}

// find returns the entry of key, which is made where there is none and the
// purse has something left. The lock of the stripe is held.
func (s *stripe) find(hash uint64, key []byte, from *purse) (*entry, bool) {
	e := s.entries.find(hash, key)
	if e == nil {
		if !from.take() {
			return nil, false
		}
		e = newEntry(key)
		s.entries.put(hash, e)
	}
	return e, true
}

// wantTotal has the writer report the key's total after the commit. The lock of
// the stripe is held.
func (e *entry) wantTotal() {
	e.total = true
	e.batch.wantTotal.Store(true)
}

// join puts e into the batch at the tail that has room for it. The lock of the
// stripe is held, which is what lets seal know when a batch is complete.
func (r *reducer) join(s *stripe, i int, e *entry) {
	p := r.room(int64(piccolo.MaxDeltaSize(len(e.key))))
	l := &p.lots[i]
	if l.entries == nil {
		l.entries, s.spare = s.spare[:0], nil
	}
	l.entries = append(l.entries, e)
	e.batch, e.used = p, true
}

// room returns the batch at the tail that has room for size bytes, which are
// taken. A lock that seal takes is held.
func (r *reducer) room(size int64) *pending {
	p := r.tail.Load()
	for {
		taken := p.bytes.Add(size)
		if taken == size { // a batch takes at least one delta
			p.accepted.Store(time.Now().UnixNano())
			signal(r.opened)
			return p
		}
		if taken <= r.limit {
			return p
		}
		p = r.advance(p)
	}
}

// advance opens the batch behind p, where there is none, and moves the tail
// off p.
func (r *reducer) advance(p *pending) *pending {
	if p.next.Load() == nil {
		p.next.CompareAndSwap(nil, r.newPending(p.id.Seq+1, p.waiters.Load()))
	}
	next := p.next.Load()
	r.tail.CompareAndSwap(p, next)
	signal(p.due)
	return next
}

// seal closes p, which must be the oldest open batch and have a delta, and
// reads it into b. Nothing joins p afterwards: whoever holds the lock of a
// stripe sees either p not yet read there, or the tail beyond p.
func (r *reducer) seal(p *pending, b *piccolo.Batch) {
	r.advance(p)
	*b = piccolo.Batch{BatchID: p.id, Deltas: b.Deltas[:0]}
	r.sealOnces(p, b)
	for i := range r.stripes {
		s, l := &r.stripes[i], &p.lots[i]
		s.mu.Lock()
		for _, e := range l.entries {
			b.Deltas = append(b.Deltas, piccolo.Delta{Key: e.key, Value: e.delta, Op: e.op, WantTotal: e.total})
			e.batch, e.delta, e.op, e.total = nil, 0, piccolo.OpAdd, false
			if e.left {
				r.budget.used.Add(-1)
			}
		}
		b.Increments += l.increments
		clear(l.entries)
		if cap(l.entries) > cap(s.spare) {
			s.spare = l.entries[:0]
		}
		l.entries = nil
		s.mu.Unlock()
	}
	// Known for sure only now: whoever put the first delta in has done so.
	b.Accepted = time.Unix(0, p.accepted.Load())
}

// sweep forgets keys that have no delta: those not used since the last sweep,
// or all of them.
func (r *reducer) sweep(all bool) {
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		forgotten := s.entries.keep(func(e *entry) bool {
			kept := e.batch != nil || e.used && !all
			e.used = e.batch != nil
			return kept
		})
		s.mu.Unlock()
		r.budget.used.Add(-int64(forgotten))
	}
}

// accepted is how many increments have been counted, ever.
func (r *reducer) accepted() (n uint64) {
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		n += s.counted
		s.mu.Unlock()
	}
	r.once.mu.Lock()
	defer r.once.mu.Unlock()
	return n + r.once.counted
}

// close makes every later add fail.
func (r *reducer) close() {
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
	}
}

// wait counts a reply that waits for p, and has p flushed for it.
func (p *pending) wait() {
	if n := p.waiters.Add(1); n == 1 || n == p.crowd {
		signal(p.due)
	}
}

// empty says whether p has no delta yet.
func (p *pending) empty() bool { return p.bytes.Load() == 0 }

// full says whether p takes no more keys.
func (p *pending) full() bool { return p.next.Load() != nil }

// signal leaves a token in a channel that has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
