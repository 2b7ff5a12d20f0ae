package writer

import (
	"fmt"
	"slices"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// sum is what a number of messages come to: a fold, and the ledger as it will
// be after it.
type sum struct {
	fold       piccolo.Fold
	draft      *piccolo.Draft
	merged     merger
	increments uint64
	skipped    uint64 // of the increments
	duplicates int
	conflicts  map[*delivered][]piccolo.Claim

	// Of the few batches that need to know what the database holds: what
	// tokens have been counted, and the totals of keys that are set. Both are
	// carried on from batch to batch.
	ttl     time.Duration
	tokens  map[tokenAt]piccolo.Spent
	claimed []tokenAt        // in this fold
	totals  map[string]int64 // modulo 2^64
}

// sum adds up the messages in their order, skipping batches that the ledger
// has. It changes nothing but the draft.
func (w *Writer) sum() (*sum, error) {
	deltas := 0
	for _, m := range w.unfolded {
		deltas += m.batch.Keys()
	}
	s := &sum{
		draft:  w.ledger.Draft(),
		merged: merger{deltas: make([]piccolo.Delta, 0, deltas), at: make(map[string]int, deltas)},
		ttl:    w.TokenTTL,
	}
	if err := s.look(w); err != nil {
		return nil, err
	}
	s.fold.Positions = make(map[int]piccolo.Position)
	s.fold.Expired = make(map[int]time.Time)
	for _, m := range w.unfolded {
		s.position(w.partition[m.Partition].position, m)
		if m.Stored.After(s.fold.Expired[m.Partition]) {
			s.fold.Expired[m.Partition] = m.Stored
		}
		switch {
		case m.bad != nil:
			s.reject(m, m.bad)
		case !s.draft.Fold(&m.batch):
			s.duplicates++
			s.repeat(m)
		case m.away != nil:
			s.skip(m)
			s.reject(m, m.away)
		default:
			s.increments += m.batch.Increments
			s.add(m)
		}
	}
	s.fold.Accounts = s.draft.Accounts()
	s.fold.Tokens = s.spent()
	s.fold.Deltas = s.merged.sorted()
	return s, nil
}

// look reads what the messages need to know of the database. It may do so
// before the transaction: whoever changes it meanwhile raises the epoch, which
// the transaction checks.
func (s *sum) look(w *Writer) error {
	tokens := make(map[int][]piccolo.Token)
	var keys []string
	for _, m := range w.unfolded {
		for i := range m.batch.Onces {
			tokens[m.Partition] = append(tokens[m.Partition], m.batch.Onces[i].Token)
		}
		if !m.sets {
			continue
		}
		for i := range m.batch.Deltas {
			if d := &m.batch.Deltas[i]; d.Op != piccolo.OpAdd {
				keys = append(keys, d.Key)
			}
		}
	}
	if len(tokens) > 0 {
		s.tokens = make(map[tokenAt]piccolo.Spent)
		s.conflicts = make(map[*delivered][]piccolo.Claim)
	}
	for partition, list := range tokens {
		spent, err := w.Store.Spent(w.ctx, partition, list)
		if err != nil {
			return fmt.Errorf("look up tokens: %w", err)
		}
		for _, t := range spent {
			s.tokens[tokenAt{partition, t.Token}] = t
		}
	}
	if len(keys) > 0 {
		totals, err := w.Store.Totals(w.ctx, keys)
		if err != nil {
			return fmt.Errorf("look up totals: %w", err)
		}
		s.totals = totals
	}
	return nil
}

// add enters a batch that the ledger did not have.
func (s *sum) add(m *delivered) {
	var sum int64 // besides what its deltas add
	var skipped uint64
	for i := range m.batch.Onces {
		o := &m.batch.Onces[i]
		if !s.claim(m, o) {
			skipped += o.Increments
			s.want(o.Deltas)
			continue
		}
		for j := range o.Deltas {
			sum += o.Deltas[j].Value
		}
		s.track(o.Deltas)
		s.merged.add(o.Deltas)
	}
	sum += s.track(m.batch.Deltas)
	s.merged.add(m.batch.Deltas)
	s.skipped += skipped
	if sum != 0 || skipped != 0 {
		s.draft.Adjust(m.batch.Origin(), sum, skipped)
	}
}

// reject keeps a message for a human.
func (s *sum) reject(m *delivered, reason error) {
	s.fold.Rejected = append(s.fold.Rejected, piccolo.Rejected{
		Partition: m.Partition, StreamSeq: m.StreamSeq, Stored: m.Stored, Reason: reason.Error(), Data: m.Data,
	})
}

// skip enters a batch of which nothing is added.
func (s *sum) skip(m *delivered) {
	s.increments += m.batch.Increments
	s.skipped += m.batch.Increments
	s.draft.Adjust(m.batch.Origin(), -m.batch.Sum(), m.batch.Increments)
}

// repeat has what a duplicate asks told again, adding nothing: its first notice
// may have been lost.
func (s *sum) repeat(m *delivered) {
	for i := range m.batch.Onces {
		o := &m.batch.Onces[i]
		if t, ok := s.tokens[tokenAt{m.Partition, o.Token}]; ok && t.Payload != o.Payload {
			s.conflicts[m] = append(s.conflicts[m], o.Claim)
		}
		s.want(o.Deltas)
	}
	s.want(m.batch.Deltas)
}

// track carries the totals of the keys that are set on, and returns by how much
// deltas that set change them.
func (s *sum) track(deltas []piccolo.Delta) (change int64) {
	if len(s.totals) == 0 {
		return 0
	}
	for i := range deltas {
		d := &deltas[i]
		total, ok := s.totals[d.Key]
		if !ok {
			continue
		}
		if d.Op == piccolo.OpAdd {
			s.totals[d.Key] = total + d.Value
		} else {
			change += d.Value - total
			s.totals[d.Key] = d.Value
		}
	}
	return change
}

// want has totals read back for deltas that are not added.
func (s *sum) want(deltas []piccolo.Delta) {
	for i := range deltas {
		if d := &deltas[i]; d.WantTotal {
			s.fold.Wanted = append(s.fold.Wanted, d.Key)
		}
	}
}

func wantTotal(deltas []piccolo.Delta) bool {
	return slices.ContainsFunc(deltas, func(d piccolo.Delta) bool { return d.WantTotal })
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
