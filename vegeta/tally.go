package main

import "github.com/piccolo-counter/piccolo"

// outcome is what the status of a reply says about its increment.
type outcome int

const (
	acknowledged outcome = iota // counted, exactly once
	refused                     // not counted
	unknown                     // counted once or not at all: no reply came
)

// outcomeOf reads a status; vegeta has 0 where no reply came. That any status
// but 2xx means "not counted" is the service's promise: a proxy in between
// makes statuses of its own.
func outcomeOf(code uint16) outcome {
	switch {
	case code == 0:
		return unknown
	case code >= 200 && code < 300:
		return acknowledged
	}
	return refused
}

// account is what the outcomes of a key's increments allow its value to have
// changed by: at least acked+low and at most acked+high.
type account struct {
	acked int64 // sum of the acknowledged
	low   int64 // sum of the negative ones that are unknown
	high  int64 // sum of the positive ones that are unknown
}

func (a *account) add(value int64, o outcome) {
	switch {
	case o == acknowledged:
		a.acked += value
	case o == unknown && value < 0:
		a.low += value
	case o == unknown:
		a.high += value
	}
}

// allows says whether a change of the key's value agrees with the outcomes.
func (a account) allows(change int64) bool {
	return a.acked+a.low <= change && change <= a.acked+a.high
}

// tally collects outcomes.
type tally struct {
	increments []piccolo.Increment
	keys       []string // in the order of the increments, each once
	accounts   map[string]*account
	outcomes   [unknown + 1]int
}

func newTally(increments []piccolo.Increment) *tally {
	t := &tally{increments: increments, accounts: make(map[string]*account)}
	for _, inc := range increments {
		if t.accounts[inc.Key] == nil {
			t.keys = append(t.keys, inc.Key)
			t.accounts[inc.Key] = new(account)
		}
	}
	return t
}

// add takes the status that the n-th increment was answered with.
func (t *tally) add(n int, code uint16) {
	inc, o := t.increments[n], outcomeOf(code)
	t.accounts[inc.Key].add(inc.Value, o)
	t.outcomes[o]++
}

// total adds up the accounts of all keys.
func (t *tally) total() (total account) {
	for _, a := range t.accounts {
		total.acked += a.acked
		total.low += a.low
		total.high += a.high
	}
	return total
}

// difference is a key whose value changed by what its outcomes do not allow.
type difference struct {
	key    string
	change int64
	account
}

// compare lists the keys among those given that changed by what their outcomes
// do not allow.
func (t *tally) compare(keys []string, before, after map[string]int64) (differ []difference) {
	for _, key := range keys {
		a, change := t.accounts[key], after[key]-before[key]
		if !a.allows(change) {
			differ = append(differ, difference{key, change, *a})
		}
	}
	return differ
}
