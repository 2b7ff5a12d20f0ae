package sim_test

import "math/big"

// tally is what became of the increments of a key.
type tally struct {
	attempted sums // all that was counted
	stored    sums // whose clients were told that it is stored, or applied
	applied   sums // whose clients were told that it is applied
	folded    *big.Int
	values    []valued // that the database had
}

// valued is a value that a key had from a commit on.
type valued struct {
	commit int
	value  int64
}

// sums adds up positive and negative values apart.
type sums struct{ plus, minus *big.Int }

func newTally() *tally {
	none := func() sums { return sums{new(big.Int), new(big.Int)} }
	return &tally{none(), none(), none(), new(big.Int), nil}
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
