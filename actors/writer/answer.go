package writer

import (
	"context"
	"errors"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Answer reads committed numbers, once the batches of q.After are in them. It
// returns the context's error when that takes too long.
func (w *Writer) Answer(ctx context.Context, q piccolo.Query) (piccolo.Answer, error) {
	var since time.Time
	if q.After != "" {
		receipt, err := piccolo.ParseReceipt(q.After)
		if err != nil {
			return piccolo.Answer{}, err
		}
		if err := w.await(ctx, receipt); err != nil {
			return piccolo.Answer{}, err
		}
		since = time.Now()
	}
	switch {
	case q.Changes != nil:
		return w.changed(ctx, q.Changes)
	case q.Page != nil && q.Page.ByValue:
		return w.largest.find(ctx, w, *q.Page, since)
	case q.Page != nil:
		return w.page(ctx, q.Page)
	case len(q.Keys) > 0:
		return w.values(ctx, q.Keys)
	}
	return piccolo.Answer{}, errors.New(`the query names neither keys, nor a page, nor changes: {"keys":["foo"]} or {"page":{"prefix":"f","limit":10}}`)
}

func (w *Writer) values(ctx context.Context, keys []string) (a piccolo.Answer, err error) {
	a.FreshnessMS = w.lacking() // before the read, which then lacks no more than that
	a.Numbers, err = w.Store.Values(ctx, keys)
	return a, err
}

func (w *Writer) page(ctx context.Context, p *piccolo.Page) (a piccolo.Answer, err error) {
	a.FreshnessMS = w.lacking()
	a.Partitions = w.Partitions
	a.Numbers, a.More, err = w.Store.Page(ctx, p, w.Partitions)
	return a, err
}

// changed waits for changes and reads the numbers as they are now: one that
// changed often is read once.
func (w *Writer) changed(ctx context.Context, c *piccolo.Changes) (a piccolo.Answer, err error) {
	since, err := piccolo.ParseCursors(c.Since)
	if err != nil {
		return a, err
	}
	a.Partitions = w.Partitions
	found := w.changes.next(ctx, w.ctx, c, since)
	a.Cursor, a.Reset, a.More = found.cursor(), found.reset, found.more
	if len(found.keys) == 0 {
		return a, nil
	}
	a.FreshnessMS = w.lacking()
	if a.Numbers, err = w.Store.Values(ctx, found.keys); err != nil {
		return a, err
	}
	if len(a.Numbers) < len(found.keys) {
		there := make(map[string]bool, len(a.Numbers))
		for _, n := range a.Numbers {
			there[n.Key] = true
		}
		for _, key := range found.keys {
			if !there[key] {
				a.Gone = append(a.Gone, key)
			}
		}
	}
	return a, nil
}

// Behind is how long ago the oldest increment was accepted that has been fetched
// and not committed; 0 where there is none.
func (w *Writer) Behind() time.Duration {
	w.mu.Lock()
	oldest := w.oldest
	w.mu.Unlock()
	if oldest.IsZero() {
		return 0
	}
	return max(0, time.Since(oldest))
}

// lacking is the same, in milliseconds.
func (w *Writer) lacking() float64 { return milliseconds(w.Behind()) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Folded tells what the ledger has of some producers and partitions.
func (w *Writer) Folded(origins []piccolo.Origin) (all []piccolo.FoldedProducer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range origins {
		if w.partition[o.Partition] == nil {
			continue // another writer's
		}
		a := w.ledger.Account(o)
		all = append(all, piccolo.FoldedProducer{
			Producer: o.Producer, Partition: o.Partition,
			Watermark: a.Seqs.Watermark(), Batches: a.Batches, Increments: a.Increments,
		})
	}
	return all
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
