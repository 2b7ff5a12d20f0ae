package faults_test

import (
	"fmt"
	"sync"
	"testing"
)

// book is what clients know of what they sent, key by key. It is the oracle:
// kept in the tests' process, it survives whatever is done to the service.
//
//   - An increment that was replied to with 200 is sure: it counts, once.
//   - One that was refused, or could not even be sent, does not count.
//   - One that got no reply may count, once.
//   - One that was replied to with 202 is in the memory of the process that
//     replied: sure when that stops in order, and like one without a reply when
//     it is killed.
//
// So a key's value must be the sum of what is sure and of some of what may
// count. Values are random, and so large that no two such sums are likely to
// be alike: a single increment lost or counted twice shows.
type book struct {
	mu       sync.Mutex
	accounts map[string]*account
	refused  map[int]int // by status
	unsent   int         // nobody listened
	parted   int         // of what is sure: has been counted, see figures.part
}

type account struct {
	sure   int64
	count  int     // of what is sure
	maybe  []int64 // got no reply
	memory []int64 // replied to with 202 by the process that runs
}

func newBook() *book {
	return &book{accounts: make(map[string]*account), refused: make(map[int]int)}
}

// enter makes a change to a key's account.
func (b *book) enter(key string, change func(*account)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[key]
	if a == nil {
		a = new(account)
		b.accounts[key] = a
	}
	change(a)
}

func (b *book) sure(key string, value int64) {
	b.enter(key, func(a *account) { a.sure, a.count = a.sure+value, a.count+1 })
}

func (b *book) memory(key string, value int64) {
	b.enter(key, func(a *account) { a.memory = append(a.memory, value) })
}

func (b *book) unknown(key string, value int64) {
	b.enter(key, func(a *account) { a.maybe = append(a.maybe, value) })
}

func (b *book) refuse(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused[status]++
}

func (b *book) missed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unsent++
}

// crashed notes that the process died with what it had in memory.
func (b *book) crashed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.accounts {
		a.maybe = append(a.maybe, a.memory...)
		a.memory = nil
	}
}

// settled notes that what the process had in memory went its way.
func (b *book) settled() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.accounts {
		for _, v := range a.memory {
			a.sure, a.count = a.sure+v, a.count+1
		}
		a.memory = nil
	}
}

// totals counts the increments that are sure, those that may count, and those
// that were refused.
func (b *book) totals() (sure, maybe, refused int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.accounts {
		sure += a.count
		maybe += len(a.maybe) + len(a.memory)
	}
	for _, n := range b.refused {
		refused += n
	}
	return sure, maybe, refused
}

// check compares the database with the book, and the database with itself.
func (b *book) check(t testing.TB, db *contents) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	sure, maybe := 0, 0
	for key, a := range b.accounts {
		if err := a.allows(db.numbers[key]); err != nil {
			t.Errorf("key %s: %v", key, err)
		}
		sure += a.count
		maybe += len(a.maybe) + len(a.memory)
	}
	for key, value := range db.numbers {
		if _, known := b.accounts[key]; !known {
			t.Errorf("key %s is %d and was never sent", key, value)
		}
	}
	if counted := db.increments; counted < sure || counted > sure+maybe {
		t.Errorf("the ledger says %d increments: %d are sure and %d more may count", counted, sure, maybe)
	}
	db.check(t)
	t.Logf("%d increments acknowledged, %d without an answer of which %d were counted, refused %v, not sent %d",
		sure, maybe, db.increments-sure, b.refused, b.unsent)
}

// compare counts what the database lost of what is sure, and what it counted
// more often than that, and the keys with values that neither explains. Where a
// key has one increment, its value tells; of the others the ledger does.
func (b *book) compare(db *contents) (lost, doubled, wrong int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sure, maybe := 0, 0
	for key, a := range b.accounts {
		sure += a.count
		maybe += len(a.maybe) + len(a.memory)
		value := db.numbers[key]
		switch {
		case a.allows(value) == nil:
		case a.count == 1 && value == 0:
			lost++
		case a.count == 1 && value == 2*a.sure, a.count == 0 && len(a.maybe) == 1 && value == 2*a.maybe[0]:
			doubled++
		default:
			wrong++
		}
	}
	if wrong > 0 {
		lost, doubled = max(lost, sure-db.increments), max(doubled, db.increments-sure-maybe)
	}
	return lost, doubled, wrong
}

// allows says why the database cannot hold this value, or nil.
func (a *account) allows(value int64) error {
	open := append(append([]int64(nil), a.maybe...), a.memory...)
	low, high := a.sure, a.sure
	for _, v := range open {
		low, high = low+min(v, 0), high+max(v, 0)
	}
	if value < low || value > high {
		return fmt.Errorf("the database has %d, want %d to %d", value, low, high)
	}
	if !sumOfSome(open, value-a.sure) {
		return fmt.Errorf("the database has %d: that is %d and no sum of some of the unanswered %v", value, a.sure, open)
	}
	return nil
}

// sumOfSome says whether some of the values come to sum. Of many it does not
// try them all.
func sumOfSome(values []int64, sum int64) bool {
	const many = 20
	switch {
	case len(values) > many:
		return true
	case len(values) == 0:
		return sum == 0
	}
	return sumOfSome(values[1:], sum) || sumOfSome(values[1:], sum-values[0])
}
