package ingress

import (
	"context"
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

// askWriters asks every writer once, as far as it is known which partitions a
// writer owns: each says so in its answer. While it is not known, a writer of
// several partitions is asked for each, and its answers are alike.
func (in *Ingress) askWriters(ctx context.Context, q piccolo.Query) ([]piccolo.Answer, error) {
	var (
		all     []piccolo.Answer
		writers []int // a partition of each
		covered = make([]bool, len(in.reducers))
	)
	next := make([]int, len(in.reducers))
	for partition := range next {
		next[partition] = partition
	}
	if known := in.writers.Load(); known != nil {
		next = *known
	}
	for len(next) > 0 {
		answers, err := in.ask(ctx, next, func(int) piccolo.Query { return q })
		if err != nil {
			in.writers.Store(nil) // one may have gone, and left its partitions to others
			return nil, err
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
		all = append(all, answers...)
		next = nil
		for partition, done := range covered {
			if !done {
				next = append(next, partition)
			}
		}
	}
	in.writers.Store(&writers)
	return all, nil
}
