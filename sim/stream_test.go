package sim_test

import (
	"slices"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// stream is what the server holds: messages, ids of late, and a durable
// consumer for each partition. It does what it is told; what goes wrong with it
// is in server_test.go.
type stream struct {
	w         *world
	created   time.Time // zero: there is none
	starts    int       // of the server
	away      bool      // the server does not answer
	full      bool      // refuses whatever is left of room
	messages  []*message
	first     uint64 // of the messages; one beyond the last where there is none
	last      uint64
	ids       map[piccolo.BatchID]uint64 // stored of late
	consumers []*consumer                // by partition; nil where there is none

	remembered []*consumer // what the server has on disk of them
	unseen     []bool      // whose writer has yet to see that the stream was rolled back
}

type message struct {
	seq    uint64
	id     piccolo.BatchID
	data   []byte
	stored time.Time
	json   bool // published by hand
	junk   bool // and no batch
}

func newStream(w *world) *stream {
	s := &stream{w: w}
	s.create()
	return s
}

// create makes the stream, empty.
func (s *stream) create() {
	s.created = time.Now()
	s.messages, s.first, s.last = nil, 1, 0
	s.ids = make(map[piccolo.BatchID]uint64)
	s.consumers = make([]*consumer, s.w.partitions)
	s.remembered = make([]*consumer, s.w.partitions)
	s.unseen = make([]bool, s.w.partitions)
}

// exists says whether there is a stream.
func (s *stream) exists() bool { return !s.created.IsZero() }

// takes says whether what is published reaches it. Where a consumer stays beyond
// the end of a stream that was rolled back, clients are back only after its
// writer has looked: what came before that would be skipped without a trace.
func (s *stream) takes() bool { return !s.away && !slices.Contains(s.unseen, true) }

// store takes a message, or finds that it has it.
func (s *stream) store(id piccolo.BatchID, data []byte) (seq uint64, duplicate bool, err error) {
	switch seq, duplicate = s.ids[id]; {
	case duplicate:
		return seq, true, nil
	case s.full || len(s.messages) >= s.w.room:
		return 0, false, piccolo.ErrFull
	}
	s.append(id.Partition, &message{id: id, data: data, stored: time.Now()})
	s.ids[id] = s.last
	return s.last, false, nil
}

// append adds a message, and names it where it has no name of its own.
func (s *stream) append(partition int, m *message) {
	s.last++
	m.seq = s.last
	if m.id.Seq == 0 {
		d := piccolo.Delivery{Partition: partition, StreamSeq: m.seq, Created: s.created, Stored: m.stored}
		m.id = d.ID()
	}
	s.messages = append(s.messages, m)
}

// next returns the first message of a partition at or after seq, or nil.
func (s *stream) next(partition int, seq uint64) *message {
	for _, m := range s.messages {
		if m.seq >= seq && m.id.Partition == partition {
			return m
		}
	}
	return nil
}

// message returns the one with this seq, or nil.
func (s *stream) message(seq uint64) *message {
	i, ok := slices.BinarySearchFunc(s.messages, seq, func(m *message, seq uint64) int { return int(m.seq) - int(seq) })
	if !ok {
		return nil
	}
	return s.messages[i]
}

// holds counts the messages with a batch.
func (s *stream) holds(id piccolo.BatchID) (n int) {
	for _, m := range s.messages {
		if m.id == id {
			n++
		}
	}
	return n
}

// trim removes the messages of a partition up to upto.
func (s *stream) trim(partition int, upto uint64) {
	s.messages = slices.DeleteFunc(s.messages, func(m *message) bool {
		if m.id.Partition != partition || m.seq > upto {
			return false
		}
		s.w.book.trimmed(m)
		return true
	})
	s.settleFirst()
	if c := s.consumers[partition]; c != nil {
		c.trimmed(upto)
	}
}

func (s *stream) settleFirst() {
	s.first = s.last + 1
	if len(s.messages) > 0 {
		s.first = s.messages[0].seq
	}
}

// state is the stream as the writer of a partition sees it.
func (s *stream) state(partition int) piccolo.StreamState {
	c := s.consumers[partition]
	state := piccolo.StreamState{
		Created: s.created, FirstSeq: s.first, LastSeq: s.last, Messages: uint64(len(s.messages)),
		AckFloor: c.floor(), AckPending: len(c.unacked),
	}
	for _, m := range s.messages {
		state.Bytes += uint64(len(m.data))
		if m.id.Partition == partition && m.seq >= c.next {
			state.Pending++
		}
	}
	return state
}
