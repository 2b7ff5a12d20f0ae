package writer

import (
	"slices"
	"strings"

	"github.com/piccolo-counter/piccolo"
)

// sum is what a number of messages come to: a fold, and the ledger as it will
// be after it.
type sum struct {
	fold       piccolo.Fold
	draft      *piccolo.Draft
	increments uint64
	duplicates int
}

// sum adds up the messages, skipping batches that the ledger has. It changes
// nothing but the draft.
func (w *Writer) sum() *sum {
	s := &sum{draft: w.ledger.Draft()}
	s.fold.Positions = make(map[int]piccolo.Position)
	deltas := 0
	for _, m := range w.unfolded {
		deltas += len(m.batch.Deltas)
	}
	merged := merger{deltas: make([]piccolo.Delta, 0, deltas), at: make(map[string]int, deltas)}
	for _, m := range w.unfolded {
		s.position(w.partition[m.Partition].position, m)
		switch {
		case m.bad != nil:
			s.fold.Rejected = append(s.fold.Rejected, piccolo.Rejected{
				Partition: m.Partition, StreamSeq: m.StreamSeq, Reason: m.bad.Error(), Data: m.Data,
			})
		case !s.draft.Fold(&m.batch):
			s.duplicates++
			merged.want(m.batch.Deltas)
		default:
			s.increments += m.batch.Increments
			merged.add(m.batch.Deltas)
		}
	}
	s.fold.Accounts = s.draft.Accounts()
	s.fold.Deltas = merged.deltas
	// Rows in the order of the table touch each of its pages once.
	slices.SortStableFunc(s.fold.Deltas, func(a, b piccolo.Delta) int { return strings.Compare(a.Key, b.Key) })
	return s
}

// position moves the partition's position to the highest StreamSeq. A message
// of a stream that has since been made anew may still be on its way.
func (s *sum) position(now piccolo.Position, m *delivered) {
	if p, ok := s.fold.Positions[m.Partition]; ok {
		now = p
	}
	switch {
	case sameTime(m.Created, now.Created):
		if m.StreamSeq <= now.StreamSeq {
			return
		}
	case m.Created.Before(now.Created):
		return
	}
	s.fold.Positions[m.Partition] = piccolo.Position{Created: m.Created, StreamSeq: m.StreamSeq}
}

// merger adds deltas up by key. Where a sum leaves int64, the key gets one
// more delta instead.
type merger struct {
	deltas []piccolo.Delta
	at     map[string]int // where in deltas the key's last one is
}

func (m *merger) add(deltas []piccolo.Delta) {
	for _, d := range deltas {
		if i, ok := m.at[d.Key]; ok {
			have := &m.deltas[i]
			if total, ok := piccolo.Add(have.Value, d.Value); ok {
				have.Value = total
				have.WantTotal = have.WantTotal || d.WantTotal
				continue
			}
		}
		m.at[d.Key] = len(m.deltas)
		m.deltas = append(m.deltas, d)
	}
}

// want has totals read back for what a duplicate asks, adding nothing: its
// first notice may have been lost.
func (m *merger) want(deltas []piccolo.Delta) {
	for _, d := range deltas {
		if d.WantTotal {
			m.add([]piccolo.Delta{{Key: d.Key, WantTotal: true}})
		}
	}
}
