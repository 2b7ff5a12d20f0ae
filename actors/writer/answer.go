package writer

import (
	"context"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Answer reads the committed value of a key, once the batches of q.After are
// in it. It returns the context's error when that takes too long.
func (w *Writer) Answer(ctx context.Context, q piccolo.Query) (piccolo.Answer, error) {
	if q.After != "" {
		receipt, err := piccolo.ParseReceipt(q.After)
		if err != nil {
			return piccolo.Answer{}, err
		}
		if err := w.await(ctx, receipt); err != nil {
			return piccolo.Answer{}, err
		}
	}
	w.mu.Lock()
	oldest := w.oldest
	w.mu.Unlock()
	value, found, err := w.Store.Value(ctx, q.Key)
	if err != nil {
		return piccolo.Answer{}, err
	}
	a := piccolo.Answer{Key: q.Key, Found: found, Value: value}
	if !oldest.IsZero() {
		a.FreshnessMS = max(0, float64(time.Since(oldest).Microseconds())/1000)
	}
	return a, nil
}

// await returns when every batch of the receipt has been folded.
func (w *Writer) await(ctx context.Context, receipt piccolo.Receipt) error {
	w.urged.Add(1)
	defer w.urged.Add(-1)
	for {
		w.mu.Lock()
		committed, folded := w.committed, true
		for _, id := range receipt {
			folded = folded && w.ledger.Folded(id)
		}
		w.mu.Unlock()
		if folded {
			return nil
		}
		select {
		case w.urge <- struct{}{}:
		default:
		}
		select {
		case <-committed:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
	}
}
