package main

import (
	"context"
	"fmt"
	"time"
)

// numbers are the committed values of keys.
type numbers interface {
	Value(ctx context.Context, key string) (value int64, ok bool, err error)
}

// read reads the values of keys into values. A key never counted has 0.
func read(ctx context.Context, db numbers, keys []string, values map[string]int64) error {
	for _, key := range keys {
		value, _, err := db.Value(ctx, key)
		if err != nil {
			return fmt.Errorf("read the value of key %q: %w", key, err)
		}
		values[key] = value
	}
	return nil
}

const (
	pollEvery = 50 * time.Millisecond

	// settle is how long the values may still change after all agreed: what
	// is counted twice is counted a moment after it was counted once.
	settle = 500 * time.Millisecond
)

// verdict says how the values in the database compare with the outcomes.
type verdict struct {
	*tally
	change int64 // of the sum over all keys
	differ []difference
	waited time.Duration
}

// check compares what the values have changed by since before with the
// outcomes. A reply may come ahead of the commit, so it waits until they agree,
// at most for limit; what holds then is the verdict.
func check(ctx context.Context, db numbers, t *tally, before map[string]int64, limit time.Duration) (*verdict, error) {
	start := time.Now()
	after := make(map[string]int64, len(t.keys))
	for late := t.keys; ; time.Sleep(pollEvery) {
		if err := read(ctx, db, late, after); err != nil {
			return nil, err
		}
		differ := t.compare(late, before, after)
		late = nil
		for _, d := range differ {
			late = append(late, d.key)
		}
		if len(late) == 0 || time.Since(start) > limit {
			break
		}
	}
	waited := time.Since(start)
	time.Sleep(settle)
	if err := read(ctx, db, t.keys, after); err != nil {
		return nil, err
	}
	v := &verdict{tally: t, differ: t.compare(t.keys, before, after), waited: waited}
	for _, key := range t.keys {
		v.change += after[key] - before[key]
	}
	return v, nil
}

// right says whether the math is. Where nothing was acknowledged, nothing was
// shown.
func (v *verdict) right() bool { return len(v.differ) == 0 && v.outcomes[acknowledged] > 0 }
