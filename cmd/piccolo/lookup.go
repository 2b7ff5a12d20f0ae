package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/piccolo-counter/piccolo"
)

// lookup asks all writers, side by side, for the numbers whose keys start with
// prefix. What those have that answer comes with an error that says which
// partitions are missing: a writer that hangs hides only its own.
func (s *service) lookup(ctx context.Context, prefix string, limit int) ([]piccolo.Number, error) {
	page := piccolo.Page{Prefix: prefix, Limit: limit, Of: s.partitions}
	var (
		mu      sync.Mutex
		numbers []piccolo.Number
		missing []int
		failed  error
		askers  sync.WaitGroup
	)
	for _, partitions := range s.byWriter() {
		askers.Go(func() {
			asked := make(map[int]bool)
			for _, partition := range partitions {
				if asked[partition] {
					continue // its writer has answered for it already
				}
				answer, err := s.conn.Query(ctx, partition, piccolo.Query{Page: &page})
				mu.Lock()
				if err != nil {
					missing, failed = append(missing, partition), err
				} else {
					numbers = append(numbers, answer.Numbers...)
					for _, p := range answer.Partitions {
						asked[p] = true
					}
				}
				mu.Unlock()
			}
		})
	}
	askers.Wait()
	slices.SortFunc(numbers, page.Compare)
	numbers = slices.CompactFunc(numbers, func(a, b piccolo.Number) bool { return a.Key == b.Key }) // of a partition that moves
	if failed != nil {
		slices.Sort(missing)
		failed = fmt.Errorf("without %s: %w", partitionsText(missing), failed)
	}
	return numbers[:min(len(numbers), limit)], failed
}

// byWriter groups the partitions by the writers that report on them; the last
// group are those of which none does.
func (s *service) byWriter() (groups [][]int) {
	now, _ := s.deployment.Now()
	of := make(map[int]bool)
	for _, p := range now.Processes {
		var group []int
		for _, partition := range p.Parts {
			if partition < s.partitions && !of[partition] && p.Silent == 0 && p.Ended == "" {
				of[partition] = true
				group = append(group, partition)
			}
		}
		groups = append(groups, group)
	}
	var rest []int
	for partition := range s.partitions {
		if !of[partition] {
			rest = append(rest, partition)
		}
	}
	return append(groups, rest)
}
