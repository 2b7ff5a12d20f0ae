package ingress

import "sync/atomic"

// budget bounds the distinct keys that all reducers of a process hold.
type budget struct {
	max      int64
	used     atomic.Int64 // what is reserved included
	reserved atomic.Int64 // for increments that are being counted
}

func (b *budget) take() bool { return b.takeAll(1) }

// takeAll takes n, or nothing.
func (b *budget) takeAll(n int64) bool {
	if b.used.Add(n) > b.max {
		b.used.Add(-n)
		return false
	}
	return true
}

// reserve sets n aside, or nothing: who counts many increments at once must not
// find the budget used up halfway.
func (b *budget) reserve(n int64) (purse, bool) {
	if !b.takeAll(n) {
		return purse{}, false
	}
	b.reserved.Add(n)
	return purse{budget: b, reserved: n, left: n}, true
}

// crowded says whether what is kept is more than half of what may be.
func (b *budget) crowded() bool { return b.used.Load()-b.reserved.Load() > b.max/2 }

// purse is what keys that are new are paid from: what was reserved, and then
// the budget itself.
type purse struct {
	budget         *budget
	reserved, left int64
}

func (p *purse) take() bool {
	if p.left > 0 {
		p.left--
		return true
	}
	return p.budget.take()
}

// close gives back what is left.
func (p *purse) close() {
	p.budget.used.Add(-p.left)
	p.budget.reserved.Add(-p.reserved)
	p.left, p.reserved = 0, 0
}
