package piccolo

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Account is what the ledger knows of one (producer, partition): which of its
// batches have been folded, and what they came to.
//
// Sum is by how much they changed the totals of all keys, modulo 2^64: a delta
// that sets counts with the difference that it made. So the totals' sum is that
// of all accounts. Increments counts all that were published; those of onces
// whose token had been there, and of batches that were rejected because they are
// another database's, are among them, counted again in Skipped, and in no sum.
//
// The seqs are a watermark, up to which all are folded, and the seqs folded
// above it: a durable consumer redelivers out of order, so that "skip what is
// not above the last one" loses batches.
type Account struct {
	Seqs       SeqSet
	Batches    uint64
	Increments uint64
	Sum        int64
	Skipped    uint64
}

// Origin is the key of an account.
type Origin struct {
	Producer  string
	Partition int
}

// Origin returns the account that the batch belongs to.
func (id BatchID) Origin() Origin { return Origin{id.Producer, id.Partition} }

// Ledger is what has been folded. The zero Ledger is empty.
//
// It is a value of one owner. Fold it forward with a Draft, which leaves the
// ledger as it was until the transaction it belongs to has been committed.
type Ledger struct {
	accounts map[Origin]*Account
	// gaps are the accounts that miss seqs below others, by partition and
	// producer. An account is kept for ever, and these few are looked at once a
	// second.
	gaps map[int]map[string]*Account
}

// Put sets an account, as read from the database.
func (l *Ledger) Put(o Origin, a Account) {
	if l.accounts == nil {
		l.accounts = make(map[Origin]*Account)
		l.gaps = make(map[int]map[string]*Account)
	}
	l.accounts[o] = &a
	// Invariant: an account is among the gaps as long as seqs are above its
	// watermark, which is when it misses some.
	gaps := l.gaps[o.Partition]
	switch {
	case len(a.Seqs.above) == 0:
		delete(gaps, o.Producer)
	case gaps == nil:
		l.gaps[o.Partition] = map[string]*Account{o.Producer: &a}
	default:
		gaps[o.Producer] = &a
	}
}

// Account returns a copy of the account of o, empty where there is none.
func (l *Ledger) Account(o Origin) Account {
	if a := l.accounts[o]; a != nil {
		return a.clone()
	}
	return Account{}
}

func (a *Account) clone() Account {
	c := *a
	c.Seqs.above = slices.Clone(a.Seqs.above)
	return c
}

// Folded says whether the batch has been folded.
func (l *Ledger) Folded(id BatchID) bool {
	a := l.accounts[id.Origin()]
	return a != nil && a.Seqs.Contains(id.Seq)
}

// Missing counts the batches of a partition that have not been folded, though
// later ones of their producers have: they are late, or lost.
func (l *Ledger) Missing(partition int) (n uint64) {
	for _, a := range l.gaps[partition] {
		n += a.Seqs.Missing()
	}
	return n
}

// MissingBelow counts as Missing does, but only what is below heads, which are
// seqs of producers that Heads returned.
func (l *Ledger) MissingBelow(partition int, heads map[string]uint64) (n uint64) {
	for producer, a := range l.gaps[partition] {
		n += a.Seqs.MissingBelow(heads[producer])
	}
	return n
}

// Heads returns the largest seq that has been folded of each producer of a
// partition of which batches are missing. What is missing below one of them later
// is missing now; of other producers nothing is, below what they have now.
func (l *Ledger) Heads(partition int) map[string]uint64 {
	heads := make(map[string]uint64)
	for producer, a := range l.gaps[partition] {
		heads[producer] = a.Seqs.Max()
	}
	return heads
}

// Draft starts a step of the ledger that can be thrown away.
func (l *Ledger) Draft() *Draft {
	return &Draft{ledger: l, accounts: make(map[Origin]*Account)}
}

// Draft is a ledger with some more batches folded, not yet committed.
type Draft struct {
	ledger   *Ledger
	accounts map[Origin]*Account // copies of those that changed
}

// Fold enters a batch with the deltas that add. It returns false, and changes nothing, where the ledger
// or the draft has it already.
func (d *Draft) Fold(b *Batch) bool {
	o := b.Origin()
	a := d.accounts[o]
	if a == nil {
		c := d.ledger.Account(o)
		a = &c
	}
	if !a.Seqs.Add(b.Seq) {
		return false
	}
	a.Batches++
	a.Increments += b.Increments
	a.Sum += b.Sum()
	d.accounts[o] = a
	return true
}

// Adjust enters what the deltas of a folded batch do not say by themselves: by
// how much more it changed the totals, and how many of its increments were
// skipped.
func (d *Draft) Adjust(o Origin, sum int64, skipped uint64) {
	a := d.accounts[o]
	a.Sum += sum
	a.Skipped += skipped
}

// Accounts returns the accounts that the draft changed, to be written in the
// transaction of the numbers they account for.
func (d *Draft) Accounts() map[Origin]*Account { return d.accounts }

// Commit makes the draft the ledger. Call it after the transaction.
func (d *Draft) Commit() {
	for o, a := range d.accounts {
		d.ledger.Put(o, *a)
	}
}

// SeqSet is a set of seqs, kept as a watermark and the ranges above it. It
// stays small as long as seqs come nearly in order. The zero SeqSet is empty.
type SeqSet struct {
	watermark uint64 // 1..watermark are members
	above     []span // sorted, disjoint, not adjacent, all beyond watermark+1
}

type span struct{ from, to uint64 } // inclusive

// Watermark is the seq up to which all are members.
func (s *SeqSet) Watermark() uint64 { return s.watermark }

// Max is the largest member, 0 where there is none.
func (s *SeqSet) Max() uint64 {
	if n := len(s.above); n > 0 {
		return s.above[n-1].to
	}
	return s.watermark
}

// Contains says whether seq is a member.
func (s *SeqSet) Contains(seq uint64) bool {
	if seq <= s.watermark {
		return true
	}
	i, _ := s.find(seq)
	return i < len(s.above) && s.above[i].from <= seq
}

// find returns the index of the first span that does not end before seq.
func (s *SeqSet) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(s.above, seq, func(r span, seq uint64) int {
		switch {
		case r.to < seq:
			return -1
		case r.to > seq:
			return 1
		}
		return 0
	})
}

// Add makes seq, which is at least 1, a member. It returns false where it was.
func (s *SeqSet) Add(seq uint64) bool {
	if seq == s.watermark+1 {
		s.watermark = seq
		if len(s.above) > 0 && s.above[0].from == seq+1 {
			s.watermark = s.above[0].to
			s.above = slices.Delete(s.above, 0, 1)
		}
		return true
	}
	if s.Contains(seq) {
		return false
	}
	i, _ := s.find(seq)
	joinsLeft := i > 0 && s.above[i-1].to+1 == seq
	joinsRight := i < len(s.above) && s.above[i].from == seq+1
	switch {
	case joinsLeft && joinsRight:
		s.above[i-1].to = s.above[i].to
		s.above = slices.Delete(s.above, i, i+1)
	case joinsLeft:
		s.above[i-1].to = seq
	case joinsRight:
		s.above[i].from = seq
	default:
		s.above = slices.Insert(s.above, i, span{seq, seq})
	}
	return true
}

// Count is how many members there are.
func (s *SeqSet) Count() uint64 { return s.Max() - s.Missing() }

// Missing counts the seqs below Max that are not members.
func (s *SeqSet) Missing() uint64 { return s.MissingBelow(s.Max()) }

// MissingBelow counts the seqs below a member that are no members.
func (s *SeqSet) MissingBelow(member uint64) (n uint64) {
	last := s.watermark
	for _, r := range s.above {
		if r.from > member {
			break
		}
		n += r.from - last - 1
		last = r.to
	}
	return n
}

// Above writes the members above the watermark as text, "5-7,9".
func (s *SeqSet) Above() string {
	var b []byte
	for i, r := range s.above {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, r.from, 10)
		if r.to > r.from {
			b = append(b, '-')
			b = strconv.AppendUint(b, r.to, 10)
		}
	}
	return string(b)
}

// ParseSeqSet is the inverse of Watermark and Above.
func ParseSeqSet(watermark uint64, above string) (SeqSet, error) {
	s := SeqSet{watermark: watermark}
	if above == "" {
		return s, nil
	}
	last := watermark
	for part := range strings.SplitSeq(above, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		r, err := parseSpan(from, to)
		// A gap of at least one seq stands before every range.
		if err != nil || r.from < last+2 || r.to < r.from {
			return SeqSet{}, errors.Join(fmt.Errorf("ledger: %q above %d is not a list of ascending ranges", above, watermark), err)
		}
		s.above = append(s.above, r)
		last = r.to
	}
	return s, nil
}

func parseSpan(from, to string) (r span, err error) {
	if r.from, err = strconv.ParseUint(from, 10, 63); err != nil {
		return r, err
	}
	r.to, err = strconv.ParseUint(to, 10, 63)
	return r, err
}
