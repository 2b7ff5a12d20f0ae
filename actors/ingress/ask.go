package ingress

import (
	"context"
	"slices"
	"sync"

	"github.com/piccolo-counter/piccolo"
)

// ask has the writers of some partitions answer, side by side. The first error
// ends it: half an answer would look like a whole one.
func (in *Ingress) ask(ctx context.Context, partitions []int, query func(partition int) piccolo.Query) ([]piccolo.Answer, error) {
	answers := make([]piccolo.Answer, len(partitions))
	if len(partitions) == 1 {
		var err error
		answers[0], err = in.Reader.Query(ctx, partitions[0], query(partitions[0]))
		return answers, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var asked sync.WaitGroup
	for i, partition := range partitions {
		q := query(partition)
		asked.Go(func() {
			var err error
			if answers[i], err = in.Reader.Query(ctx, partition, q); err != nil {
				cancel(err)
			}
		})
	}
	asked.Wait()
	return answers, context.Cause(ctx)
}

// askWriters asks the writers of some keys, or all writers where there are no
// keys, and returns with each answer the partition that it was asked for. A
// writer says in its answer which partitions it owns, and is not asked for
// those again. While that is not known, a writer of several is asked for each,
// and its answers are alike.
func (in *Ingress) askWriters(ctx context.Context, keys []string, q piccolo.Query) (all []piccolo.Answer, of []int, err error) {
	needed := in.partitionsOf(keys)
	next := needed
	if known := in.writers.Load(); known != nil && len(keys) == 0 {
		next = *known
	}
	var writers []int // a partition of each
	covered := make([]bool, len(in.reducers))
	for len(next) > 0 {
		answers, err := in.ask(ctx, next, func(int) piccolo.Query { return q })
		if err != nil {
			in.writers.Store(nil) // one may have gone, and left its partitions to others
			return nil, nil, err
		}
		for i, a := range answers {
			if !covered[next[i]] {
				writers = append(writers, next[i])
			}
			covered[next[i]] = true
			for _, partition := range a.Partitions {
				if partition < len(covered) {
					covered[partition] = true
				}
			}
		}
		all, of = append(all, answers...), append(of, next...)
		next = nil
		for _, partition := range needed {
			if !covered[partition] {
				next = append(next, partition)
			}
		}
	}
	if len(keys) == 0 {
		in.writers.Store(&writers)
	}
	return all, of, nil
}

// partitionsOf are the partitions of some keys, or all where there are none.
func (in *Ingress) partitionsOf(keys []string) (partitions []int) {
	for _, key := range keys {
		partitions = append(partitions, piccolo.Partition(piccolo.Hash(key), len(in.reducers)))
	}
	for partition := range in.reducers {
		if len(keys) == 0 {
			partitions = append(partitions, partition)
		}
	}
	slices.Sort(partitions)
	return slices.Compact(partitions)
}
