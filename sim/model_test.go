package sim_test

import (
	"maps"
	"math/big"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// model is what the database must come to: it does what the batches say, one
// after the other, as they were given to whoever folded them, in numbers without
// an end, and knows nothing of how the service adds up.
type model struct {
	totals   map[string]*big.Int // of keys that are there
	tokens   map[tokenAt]spent
	accounts map[piccolo.Origin]account
	folded   map[piccolo.BatchID]int // the commit
	newest   map[int]time.Time       // when the stream took the last of what was given, by partition
}

// spent is a token that has been counted.
type spent struct {
	part    *part
	expires time.Time
}

func newModel() *model {
	return &model{
		totals:   make(map[string]*big.Int),
		tokens:   make(map[tokenAt]spent),
		accounts: make(map[piccolo.Origin]account),
		folded:   make(map[piccolo.BatchID]int),
		newest:   make(map[int]time.Time),
	}
}

func (m *model) clone() *model {
	c := &model{make(map[string]*big.Int), maps.Clone(m.tokens), maps.Clone(m.accounts), maps.Clone(m.folded), maps.Clone(m.newest)}
	for key, total := range m.totals {
		c.totals[key] = new(big.Int).Set(total)
	}
	return c
}

// total is a key's, 0 where it is not there.
func (m *model) total(key string) (total *big.Int, there bool) {
	if total = m.totals[key]; total == nil {
		return new(big.Int), false
	}
	return total, true
}

func (m *model) account(o piccolo.Origin) account { return m.accounts[o] }

// fresh says whether a token still counts, for all that has been folded.
func (m *model) fresh(at tokenAt, s spent) bool { return m.newest[at.partition].Before(s.expires) }

// fold does what a batch says, which the stream took at stored.
func (m *model) fold(b *batch, stored time.Time, ttl time.Duration, commit int) {
	a := m.accounts[b.id.Origin()]
	a.batches++
	a.increments += b.increments
	for _, p := range b.onces {
		at := tokenAt{b.id.Partition, p.order.token()}
		if s, ok := m.tokens[at]; ok && stored.Before(s.expires) {
			a.skipped += p.increments
			p.conflict = s.part.variant != p.variant
			continue
		}
		p.conflict = false
		m.tokens[at] = spent{p, stored.Add(ttl).Truncate(time.Microsecond)}
		a.sum += m.do(p.effects)
	}
	a.sum += m.do(b.effects)
	m.accounts[b.id.Origin()] = a
	m.folded[b.id] = commit
}

// saw notes when the stream took a message: it is what tokens expire by.
func (m *model) saw(msg *message) {
	if msg.stored.After(m.newest[msg.id.Partition]) {
		m.newest[msg.id.Partition] = msg.stored
	}
}

// do returns by how much effects change the totals, modulo 2^64.
func (m *model) do(effects map[string]*effect) (change int64) {
	for key, e := range effects {
		total, _ := m.total(key)
		before := new(big.Int).Set(total)
		if e.op == piccolo.OpAdd {
			total.Add(total, e.sum)
		} else {
			total.Set(e.sum)
		}
		m.totals[key] = total
		if e.op == piccolo.OpRemove {
			delete(m.totals, key)
		}
		change += low64(new(big.Int).Sub(total, before))
	}
	return change
}

// low64 is n modulo 2^64.
func low64(n *big.Int) int64 {
	mask := new(big.Int).SetUint64(1<<64 - 1)
	return int64(new(big.Int).And(n, mask).Uint64())
}
