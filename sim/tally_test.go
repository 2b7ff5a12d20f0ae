package sim_test

import (
	"math/big"

	"github.com/piccolo-counter/piccolo"
)

// tally is what became of a key.
type tally struct {
	attempted sums // all that was counted, a request with an Idempotency-Key once
	stored    sums // whose clients were told that it is stored, or applied
	applied   sums // whose clients were told that it is applied
	replaced  bool // it was set or removed, and sums say nothing
	unsure    bool // an Idempotency-Key was used for other increments, or has expired
	changes   []*change
	values    []valued // that the database had
}

// change is something that a client has done to a key, and knows of it.
type change struct {
	op    piccolo.Op
	value int64
	sent  int // the client's moment
	told  int // when it knew that it is stored; 0: it never did
	id    piccolo.BatchID
	part  *part // of a request with an Idempotency-Key
}

// valued is a value that a key had from a commit on.
type valued struct {
	commit int
	value  int64
	there  bool
}

// sums adds up positive and negative values apart.
type sums struct{ plus, minus *big.Int }

func newTally() *tally {
	none := func() sums { return sums{new(big.Int), new(big.Int)} }
	return &tally{attempted: none(), stored: none(), applied: none()}
}

func (s sums) add(value int64) {
	if value > 0 {
		s.plus.Add(s.plus, big.NewInt(value))
	} else {
		s.minus.Add(s.minus, big.NewInt(value))
	}
}

// bounds returns what a key's total lies between, if it has at least what some
// clients were promised and at most what all attempted.
func (t *tally) bounds(promised sums) (low, high *big.Int) {
	return new(big.Int).Add(promised.plus, t.attempted.minus), new(big.Int).Add(t.attempted.plus, promised.minus)
}

func (t *tally) replied(held piccolo.Ack, value int64) {
	if held >= piccolo.AckStored {
		t.stored.add(value)
	}
	if held >= piccolo.AckApplied {
		t.applied.add(value)
	}
}

// had says whether the key had a value since a commit, or was not there.
func (t *tally) had(value int64, there bool, since int) bool {
	if len(t.values) == 0 {
		return !there
	}
	if since == 0 && !there {
		return true
	}
	for n, v := range t.values {
		if v.value == value && v.there == there && (n == len(t.values)-1 || t.values[n+1].commit > since) {
			return true
		}
	}
	return false
}
