package sim_test

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/writer"
)

// Databases that are broken, and observers.

// otherCommit does something else with a fold than commit it.
type otherCommit struct {
	*store
	do func(context.Context, piccolo.Fold) (piccolo.Folded, error)
}

func (s otherCommit) Commit(ctx context.Context, fold *piccolo.Fold) (piccolo.Folded, error) {
	return s.do(ctx, *fold)
}

func forgetsTheLedger(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		f.Accounts = map[piccolo.Origin]*piccolo.Account{}
		return s.Commit(ctx, &f)
	}}
}

func commitsTheLedgerAfterwards(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		ledger := piccolo.Fold{Accounts: f.Accounts}
		f.Accounts = map[piccolo.Origin]*piccolo.Account{}
		folded, err := s.Commit(ctx, &f)
		if err == nil {
			_, err = s.Commit(ctx, &ledger)
		}
		return folded, err
	}}
}

func commitsTheLedgerBefore(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		if _, err := s.Commit(ctx, &piccolo.Fold{Accounts: f.Accounts}); err != nil {
			return piccolo.Folded{}, err
		}
		return s.Commit(ctx, &f)
	}}
}

func countsInFloatingPoint(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		deltas := f.Deltas
		f.Deltas = nil
		for _, d := range deltas {
			if math.Abs(float64(d.Value)) < 1<<62 {
				d.Value = int64(float64(d.Value))
			}
			f.Deltas = append(f.Deltas, d)
		}
		return s.Commit(ctx, &f)
	}}
}

func takesUnknownForNothing(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		folded, err := s.Commit(ctx, &f)
		if errors.Is(err, piccolo.ErrUnknown) {
			err = piccolo.ErrLocked
		}
		return folded, err
	}}
}

func letsTheSupersededCommit(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		s.f.w.mu.Lock()
		s.epoch = s.db.epoch
		s.f.w.mu.Unlock()
		return s.Commit(ctx, &f)
	}}
}

// saturates keeps the value at the end of int64 where a sum would leave it.
func saturates(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		var fitting []piccolo.Delta
		for _, d := range f.Deltas {
			value, _, _ := s.Value(ctx, d.Key)
			if _, fits := piccolo.Add(value, d.Value); fits {
				fitting = append(fitting, d)
			}
		}
		f.Deltas = fitting
		return s.Commit(ctx, &f)
	}}
}

type oldLedger struct {
	*store
	read func() (*piccolo.Ledger, error)
}

func (s oldLedger) Ledger(context.Context) (*piccolo.Ledger, error) { return s.read() }

// readsAnOldLedger reads none: what there was before the process started is
// old too.
func readsAnOldLedger(s *store) writer.Store {
	return oldLedger{s, func() (*piccolo.Ledger, error) { return new(piccolo.Ledger), nil }}
}

// readsALedgerWithoutGaps keeps the largest seq, and no set above a watermark.
func readsALedgerWithoutGaps(s *store) writer.Store {
	return oldLedger{s, func() (*piccolo.Ledger, error) {
		s.f.w.mu.Lock()
		defer s.f.w.mu.Unlock()
		ledger := new(piccolo.Ledger)
		for o, row := range s.db.ledger {
			a, err := row.read()
			if err != nil {
				return nil, err
			}
			if a.Seqs, err = piccolo.ParseSeqSet(a.Seqs.Max(), ""); err != nil {
				return nil, err
			}
			ledger.Put(o, a)
		}
		return ledger, nil
	}}
}

type silent struct {
	*folder
	lost bool // of losses; of reading again otherwise
}

func saysNothingOfLosses(f *folder) writer.Observer { return silent{f, true} }

func saysNothingOfReadingAgain(f *folder) writer.Observer { return silent{f, false} }

func (s silent) Lost(batches uint64) {
	if !s.lost {
		s.folder.Lost(batches)
	}
}

func (s silent) Rewound() {
	if s.lost {
		s.folder.Rewound()
	}
}

func forgetsTokens(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		f.Tokens = nil
		return s.Commit(ctx, &f)
	}}
}

func hasTokensNeverExpire(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		f.Tokens = slices.Clone(f.Tokens)
		for i := range f.Tokens {
			f.Tokens[i].Expires = f.Tokens[i].Expires.Add(lasting)
		}
		return s.Commit(ctx, &f)
	}}
}

func commitsTokensBefore(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		if len(f.Tokens) > 0 {
			if _, err := s.Commit(ctx, &piccolo.Fold{Tokens: f.Tokens, Accounts: map[piccolo.Origin]*piccolo.Account{}}); err != nil {
				return piccolo.Folded{}, err
			}
		}
		return s.Commit(ctx, &f)
	}}
}

func addsWhatSets(s *store) writer.Store {
	return otherCommit{s, func(ctx context.Context, f piccolo.Fold) (piccolo.Folded, error) {
		f.Deltas = slices.Clone(f.Deltas)
		for i := range f.Deltas {
			f.Deltas[i].Op = piccolo.OpAdd
		}
		return s.Commit(ctx, &f)
	}}
}

// otherSpent reads other tokens than there are.
type otherSpent struct {
	*store
	change func([]piccolo.Spent) []piccolo.Spent
}

func (s otherSpent) Spent(ctx context.Context, partition int, tokens []piccolo.Token) ([]piccolo.Spent, error) {
	spent, err := s.store.Spent(ctx, partition, tokens)
	return s.change(spent), err
}

func takesTokensForNew(s *store) writer.Store {
	return otherSpent{s, func([]piccolo.Spent) []piccolo.Spent { return nil }}
}

func mistakesTokens(s *store) writer.Store {
	return otherSpent{s, func(spent []piccolo.Spent) []piccolo.Spent {
		for i := range spent {
			spent[i].Payload++
		}
		return spent
	}}
}

type withoutTotals struct{ *store }

func takesTotalsForNothing(s *store) writer.Store { return withoutTotals{s} }

func (withoutTotals) Totals(_ context.Context, keys []string) (map[string]int64, error) {
	totals := make(map[string]int64)
	for _, key := range keys {
		totals[key] = 0
	}
	return totals, nil
}
