package sim_test

import (
	"context"
	"errors"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// store is a writer's handle on the database.
type store struct {
	db    *database
	f     *folder
	epoch int
	spent error // why it may not be used any more
}

// open opens the database for a writer, and fences off those before.
func (db *database) open(f *folder) *store {
	db.epoch++
	return &store{db: db, f: f, epoch: db.epoch}
}

// Ledger reads what has been folded, the way it is written.
func (s *store) Ledger(context.Context) (*piccolo.Ledger, error) {
	s.f.w.mu.Lock()
	defer s.f.w.mu.Unlock()
	s.f.exist()
	ledger := new(piccolo.Ledger)
	for o, a := range s.db.ledger {
		account, err := a.read()
		if err != nil {
			return nil, err
		}
		ledger.Put(o, account)
	}
	return ledger, nil
}

// Positions reads where the writer stands.
func (s *store) Positions(context.Context) (map[int]piccolo.Position, error) {
	s.f.w.mu.Lock()
	defer s.f.w.mu.Unlock()
	s.f.exist()
	positions := make(map[int]piccolo.Position)
	for n, p := range s.db.positions {
		positions[n] = p
	}
	return positions, nil
}

// Value reads the committed value of a key.
func (s *store) Value(_ context.Context, key string) (value int64, ok bool, err error) {
	s.f.w.mu.Lock()
	defer s.f.w.mu.Unlock()
	s.f.exist()
	value, ok = s.db.numbers[key]
	return value, ok, nil
}

// Values reads the committed numbers of keys.
func (s *store) Values(ctx context.Context, keys []string) (numbers []piccolo.Number, err error) {
	for _, key := range keys {
		if value, ok, _ := s.Value(ctx, key); ok {
			numbers = append(numbers, piccolo.Number{Key: key, Value: value})
		}
	}
	return numbers, nil
}

// Page is what nobody here asks for.
func (s *store) Page(context.Context, *piccolo.Page, []int) ([]piccolo.Number, bool, error) {
	return nil, false, errors.ErrUnsupported
}

// Spent reads what tokens stand for.
func (s *store) Spent(_ context.Context, partition int, tokens []piccolo.Token) (spent []piccolo.Spent, err error) {
	s.f.w.mu.Lock()
	defer s.f.w.mu.Unlock()
	s.f.exist()
	for _, token := range tokens {
		if t, ok := s.db.tokens[tokenAt{partition, token}]; ok {
			spent = append(spent, t)
		}
	}
	return spent, nil
}

// Totals reads the totals of keys modulo 2^64.
func (s *store) Totals(_ context.Context, keys []string) (map[string]int64, error) {
	s.f.w.mu.Lock()
	defer s.f.w.mu.Unlock()
	s.f.exist()
	totals := make(map[string]int64)
	for _, key := range keys {
		total := s.db.numbers[key]
		for _, v := range s.db.held[key] {
			total += v
		}
		totals[key] = total
	}
	return totals, nil
}

// Commit asks for a commit.
func (s *store) Commit(ctx context.Context, fold *piccolo.Fold) (piccolo.Folded, error) {
	a := s.f.ask(ctx, asked{kind: askCommit, fold: fold})
	return a.folded, a.err
}

// outcome is how a commit goes.
type outcome string

const (
	committed        outcome = "committed"
	noRoom           outcome = "no room"
	locked           outcome = "locked"
	failed           outcome = "failed"
	unknown          outcome = "unknown, and not committed"
	unknownCommitted outcome = "unknown, and committed"
	fenced           outcome = "fenced off"
	killedBefore     outcome = "killed before the commit"
	killedAfter      outcome = "killed after the commit"
)

// again says whether the writer may ask again.
func (o outcome) again() bool { return o == noRoom || o == locked }

// did says whether the commit happened.
func (o outcome) did() bool { return o == committed || o == unknownCommitted || o == killedAfter }

var errDisk = errors.New("disk I/O error")

func (o outcome) err() error {
	switch o {
	case noRoom:
		return piccolo.ErrNoRoom
	case locked:
		return piccolo.ErrLocked
	case failed:
		return errDisk
	case fenced:
		return piccolo.ErrFenced
	case unknown, unknownCommitted:
		return piccolo.ErrUnknown
	}
	return nil
}

// drawOutcome says how the next commit goes.
func (w *world) drawOutcome() outcome {
	if w.chance(w.commitKills) {
		return pick(w, []outcome{killedBefore, killedAfter})
	}
	if w.chance(w.commitFails) {
		return pick(w, []outcome{noRoom, noRoom, locked, failed, unknown, unknownCommitted})
	}
	return committed
}

// commit answers a commit.
func (w *world) commit(c *call) {
	f, o := c.writer.f, c.writer.outcome
	s := f.store
	if s.spent != nil {
		w.fail("%s asks for a commit after %v", f.name, s.spent)
	}
	if s.epoch != w.db.epoch && o != killedBefore && o != killedAfter {
		o = fenced
	}
	r := answer{err: o.err()}
	if o.did() && s.epoch == w.db.epoch {
		before := w.db.increments()
		r.folded = w.db.apply(c.writer.fold)
		w.book.committed(f, c.writer.fold.Accounts)
		f.expected += w.db.increments() - before
	}
	w.logf("%s commits %d deltas, %d accounts, positions %v: %s, %v", f.name,
		len(c.writer.fold.Deltas), len(c.writer.fold.Accounts), c.writer.fold.Positions, o, r.err)
	switch {
	case o == killedBefore, o == killedAfter:
		f.kill()
		return
	case r.err != nil && !o.again():
		s.spent = r.err
	}
	f.holding = r.err != nil && o.again() && !c.writer.repairs()
	if f.unfolded > 0 && !c.writer.repairs() {
		f.away = time.Now() // the loop passes its select
	}
	w.reply(c, r)
}
