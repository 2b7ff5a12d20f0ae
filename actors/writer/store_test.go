package writer_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// store is the real one, which can be made to fail and remembers what was
// committed.
type store struct {
	*sqlite.Store
	t rapid.TB

	mu        sync.Mutex
	outcomes  []outcome     // of the next commits
	takes     time.Duration // a commit
	commits   []piccolo.Fold
	committed piccolo.Ledger
	rejected  map[uint64]bool // by StreamSeq
}

// outcome is how a commit ends.
type outcome struct {
	err      error
	happened bool // all the same
}

func openStore(t rapid.TB, path string) *store {
	t.Helper()
	real, err := sqlite.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := &store{Store: real, t: t, rejected: make(map[uint64]bool)}
	ledger, err := real.Ledger(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s.committed = *ledger
	return s
}

// ends says how the next commits end, after those it was told of.
func (s *store) ends(outcomes ...outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes = append(s.outcomes, outcomes...)
}

// Commit implements writer.Store.
func (s *store) Commit(ctx context.Context, fold *piccolo.Fold) (piccolo.Folded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.IsSortedFunc(fold.Deltas, func(a, b piccolo.Delta) int { return strings.Compare(a.Key, b.Key) }) {
		s.t.Errorf("the deltas of a commit are not sorted: %v", fold.Deltas)
	}
	var o outcome
	if len(s.outcomes) > 0 {
		o, s.outcomes = s.outcomes[0], s.outcomes[1:]
	}
	time.Sleep(s.takes)
	if o.err != nil && !o.happened {
		return piccolo.Folded{}, o.err
	}
	folded, err := s.Store.Commit(ctx, fold)
	if err != nil {
		s.t.Errorf("commit: %v", err)
		return folded, err
	}
	s.commits = append(s.commits, *fold)
	for origin, account := range fold.Accounts {
		s.committed.Put(origin, *account)
	}
	for _, r := range fold.Rejected {
		s.rejected[r.StreamSeq] = true
	}
	if o.err != nil {
		return piccolo.Folded{}, o.err
	}
	return folded, nil
}

// has says whether a message needs to be delivered no more.
func (s *store) has(m message) bool {
	d := piccolo.Delivery{Partition: m.partition, StreamSeq: m.streamSeq, Created: aDay, Stored: m.stored, JSON: m.json, Data: m.data}
	var b piccolo.Batch
	if d.Decode(&b) == nil && s.folded(b.BatchID) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rejected[m.streamSeq]
}

func (s *store) folded(id piccolo.BatchID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed.Folded(id)
}

func (s *store) account(producer string) piccolo.Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed.Account(piccolo.Origin{Producer: producer})
}

// wantValues checks what anyone who reads the database sees.
func (s *store) wantValues(t rapid.TB, want map[string]int64) {
	t.Helper()
	for key, value := range want {
		got, ok, err := s.Value(context.Background(), key)
		if err != nil || !ok || got != value {
			t.Errorf("%s is %d, found %v, error %v; want %d", key, got, ok, err, value)
		}
	}
}
