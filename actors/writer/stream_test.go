package writer_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// stream is a stream in memory. It does to a writer what JetStream may do:
// deliver in any order, more than once, forget acks, skip, roll back and come
// back empty. It asserts what a writer owes it: acks, notices and trims only
// of what has been committed.
type stream struct {
	t     rapid.TB
	store *store // where it must be committed

	mu        sync.Mutex
	created   time.Time
	last      uint64 // StreamSeq
	held      []message
	consumers map[int]*consumer

	order    func(streamSeqs []uint64) // in which a subscription delivers what waits; nil for ascending
	loseAcks bool
	damaged  uint64           // bytes that the server says it could not read
	refusing map[string]error // by method

	notices    []piccolo.Applied
	trims      []trim
	rewinds    int
	subscribed int
}

type message struct {
	streamSeq uint64
	partition int
	stored    time.Time
	json      bool
	data      []byte
}

type trim struct {
	partition int
	upto      uint64
	at        time.Time
}

// consumer is the durable state of a partition's consumer.
type consumer struct {
	acked   map[uint64]bool
	pending map[uint64]bool // delivered and not acked
	queue   []uint64        // to be delivered
	fresh   bool            // nothing has been acked
	current *subscription
}

type subscription struct {
	deliver func(piccolo.Delivery)
	failed  func(error)
	wake    chan struct{}
	stop    chan struct{}
}

var errNoStream = errors.New("stream not found")

// aDay is when streams are created: with nanoseconds, which SQLite does not
// keep.
var aDay = time.Date(1999, 12, 31, 12, 0, 0, 123456789, time.UTC)

func newStream(t rapid.TB, store *store) *stream {
	return &stream{
		t: t, store: store, created: aDay,
		consumers: make(map[int]*consumer),
		refusing:  make(map[string]error),
	}
}

// publish puts batches into the stream, each on the subject of its partition.
func (s *stream) publish(batches ...*piccolo.Batch) {
	for _, b := range batches {
		s.put(message{partition: b.Partition, data: piccolo.AppendBatch(nil, b)})
	}
}

func (s *stream) put(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	m.streamSeq, m.stored = s.last, time.Now()
	s.held = append(s.held, m)
	s.enqueue(m.partition, m.streamSeq)
}

// redeliver delivers messages once more, or those that were skipped.
func (s *stream) redeliver(partition int, streamSeqs ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(partition, streamSeqs...)
}

func (s *stream) enqueue(partition int, streamSeqs ...uint64) {
	c := s.consumer(partition)
	if c.current == nil {
		return // whoever subscribes gets all that was not acked
	}
	c.queue = append(c.queue, streamSeqs...)
	c.current.wakeUp()
}

// skip has the consumer behave as if it had delivered messages, and these had
// been acked.
func (s *stream) skip(partition int, streamSeqs ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.consumer(partition)
	for _, seq := range streamSeqs {
		c.acked[seq] = true
	}
	c.fresh = false
}

// forget has the consumer forget acks, and not deliver again for now.
func (s *stream) forget(partition int, streamSeqs ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range streamSeqs {
		delete(s.consumer(partition).acked, seq)
	}
}

// lose removes messages that nobody has read.
func (s *stream) lose(streamSeqs ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = slices.DeleteFunc(s.held, func(m message) bool { return slices.Contains(streamSeqs, m.streamSeq) })
}

// rollBack takes the stream back to an earlier end. The consumers stay where
// they were, as JetStream's do.
func (s *stream) rollBack(last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
	s.held = slices.DeleteFunc(s.held, func(m message) bool { return m.streamSeq > last })
}

// vanish deletes the stream without a word to those who are subscribed.
func (s *stream) vanish() {
	s.mu.Lock()
	for _, c := range s.consumers {
		if c.current != nil {
			c.current.failed = func(error) {}
		}
	}
	s.mu.Unlock()
	s.remove()
}

// remove deletes the stream, and create makes it anew.
func (s *stream) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.last, s.created = nil, 0, time.Time{}
	for partition := range s.consumers {
		s.breakOff(partition, errNoStream)
	}
	s.consumers = make(map[int]*consumer)
}

func (s *stream) create(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.created.IsZero() {
		s.created = now
	}
}

// fail ends the subscription to a partition by itself.
func (s *stream) fail(partition int, reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breakOff(partition, reason)
}

func (s *stream) breakOff(partition int, reason error) {
	c := s.consumer(partition)
	if c.current != nil {
		close(c.current.stop)
		c.current.failed(reason)
		c.current = nil
	}
}

// waiting is how many messages of all partitions have not been acked.
func (s *stream) waiting() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.held {
		if !s.consumer(m.partition).acked[m.streamSeq] {
			n++
		}
	}
	return n
}

func (s *stream) holds() (streamSeqs []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.held {
		streamSeqs = append(streamSeqs, m.streamSeq)
	}
	return streamSeqs
}

func (s *stream) consumer(partition int) *consumer {
	c := s.consumers[partition]
	if c == nil {
		c = &consumer{acked: make(map[uint64]bool), pending: make(map[uint64]bool), fresh: true}
		s.consumers[partition] = c
	}
	return c
}

// Subscribe implements writer.Stream.
func (s *stream) Subscribe(_ context.Context, partition int, deliver func(piccolo.Delivery), failed func(error)) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.able("Subscribe"); err != nil {
		return nil, err
	}
	s.subscribed++
	c := s.consumer(partition)
	if c.current != nil {
		s.t.Errorf("partition %d has two subscriptions", partition)
	}
	c.queue = nil
	for _, m := range s.held {
		if m.partition == partition && !c.acked[m.streamSeq] {
			c.queue = append(c.queue, m.streamSeq)
		}
	}
	if s.order != nil {
		s.order(c.queue)
	}
	sub := &subscription{deliver, failed, make(chan struct{}, 1), make(chan struct{})}
	c.current = sub
	go s.run(partition, sub)
	sub.wakeUp()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.current == sub {
			close(sub.stop)
			c.current = nil
		}
	}, nil
}

func (sub *subscription) wakeUp() {
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}

// run delivers from one goroutine, as Subscribe promises.
func (s *stream) run(partition int, sub *subscription) {
	for {
		d, ok := s.next(partition, sub)
		if ok {
			sub.deliver(d)
			continue
		}
		select {
		case <-sub.wake:
		case <-sub.stop:
			return
		}
	}
}

func (s *stream) next(partition int, sub *subscription) (piccolo.Delivery, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.consumer(partition)
	for c.current == sub && len(c.queue) > 0 {
		seq := c.queue[0]
		c.queue = c.queue[1:]
		for _, m := range s.held {
			if m.streamSeq != seq {
				continue
			}
			if !c.acked[seq] {
				c.pending[seq] = true
			}
			return piccolo.Delivery{
				Partition: partition, StreamSeq: seq, Created: s.created, Stored: m.stored,
				JSON: m.json, Data: m.data, Acker: &acker{s, s.created, m},
			}, true
		}
	}
	return piccolo.Delivery{}, false
}

type acker struct {
	stream  *stream
	created time.Time
	m       message
}

func (a *acker) Ack() error {
	s := a.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.store.has(a.m) {
		s.t.Errorf("message %d was acked and is not committed", a.m.streamSeq)
	}
	if s.loseAcks || s.created != a.created {
		return nil
	}
	c := s.consumer(a.m.partition)
	c.acked[a.m.streamSeq], c.fresh = true, false
	delete(c.pending, a.m.streamSeq)
	return nil
}

// State implements writer.Stream.
func (s *stream) State(_ context.Context, partition int) (piccolo.StreamState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.able("State"); err != nil {
		return piccolo.StreamState{}, err
	}
	return s.state(partition), nil
}

func (s *stream) state(partition int) piccolo.StreamState {
	c := s.consumer(partition)
	state := piccolo.StreamState{
		Created: s.created, FirstSeq: s.last + 1, LastSeq: s.last,
		Messages: uint64(len(s.held)), AckPending: len(c.pending), Damaged: s.damaged,
	}
	if len(s.held) > 0 {
		state.FirstSeq = s.held[0].streamSeq
	}
	// The ack floor is below what has not been acked, and otherwise at the
	// last message that was looked at, of whichever partition. That does not
	// fall when the stream does.
	state.AckFloor = max(s.last, slices.Max(append(slices.Collect(maps.Keys(c.acked)), 0)))
	if c.fresh {
		state.AckFloor = state.FirstSeq - 1
	}
	for _, m := range slices.Backward(s.held) {
		if m.partition == partition && !c.acked[m.streamSeq] {
			state.AckFloor = m.streamSeq - 1
			if !c.pending[m.streamSeq] {
				state.Pending++
			}
		}
	}
	return state
}

// Next implements writer.Stream.
func (s *stream) Next(_ context.Context, partition int, seq uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.held {
		if m.partition == partition && m.streamSeq >= seq {
			return m.streamSeq, s.able("Next")
		}
	}
	return 0, s.able("Next")
}

// Stored implements writer.Stream.
func (s *stream) Stored(_ context.Context, partition int, seq uint64) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.held {
		if m.partition == partition && m.streamSeq >= seq {
			return m.stored, s.able("Stored")
		}
	}
	return time.Time{}, s.able("Stored")
}

// Rewind implements writer.Stream.
func (s *stream) Rewind(_ context.Context, partition int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.able("Rewind"); err != nil {
		return err
	}
	if s.consumer(partition).current != nil {
		s.t.Errorf("partition %d was rewound while it was subscribed to", partition)
	}
	delete(s.consumers, partition)
	s.rewinds++
	return nil
}

// Trim implements writer.Stream.
func (s *stream) Trim(_ context.Context, partition int, upto uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.able("Trim"); err != nil {
		return err
	}
	if floor := s.state(partition).AckFloor; upto > floor {
		s.t.Errorf("partition %d was trimmed up to %d, its ack floor is %d", partition, upto, floor)
	}
	s.held = slices.DeleteFunc(s.held, func(m message) bool {
		if m.partition != partition || m.streamSeq > upto {
			return false
		}
		if !s.store.has(m) {
			s.t.Errorf("message %d was trimmed and is not committed", m.streamSeq)
		}
		return true
	})
	s.trims = append(s.trims, trim{partition, upto, time.Now()})
	return nil
}

// Announce implements writer.Stream.
func (s *stream) Announce(a *piccolo.Applied) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range a.Seqs {
		if id := (piccolo.BatchID{Producer: a.Producer, Partition: a.Partition, Seq: seq}); !s.store.folded(id) {
			s.t.Errorf("batch %v was announced and is not committed", id)
		}
	}
	s.notices = append(s.notices, *a)
	return s.refusing["Announce"]
}

// refuse has a method return an error.
func (s *stream) refuse(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing[method] = err
}

// allow undoes refuse.
func (s *stream) allow(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.refusing, method)
}

// able says why a method cannot do its work now.
func (s *stream) able(method string) error {
	if s.created.IsZero() {
		return errNoStream
	}
	return s.refusing[method]
}
