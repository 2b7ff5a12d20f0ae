package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/piccolo-counter/piccolo"
)

// partitionRange is from one partition to another, both included.
type partitionRange struct{ first, last int }

// parsePartitions reads a list like 0,2-3; an empty one has no ranges.
func parsePartitions(list string) (ranges []partitionRange, err error) {
	if list == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 0 || to < from {
			return nil, fmt.Errorf("--partition %q: %q is neither a number nor a range like 2-3", list, part)
		}
		if to >= piccolo.MaxPartitions {
			return nil, fmt.Errorf("--partition %q: a stream has %d partitions at most, numbered from 0", list, piccolo.MaxPartitions)
		}
		ranges = append(ranges, partitionRange{from, to})
	}
	return ranges, nil
}

// ownedPartitions are those of a list, of a stream that has count; all, where
// the list is empty.
func ownedPartitions(list string, count int) (owned []int, err error) {
	ranges, err := parsePartitions(list)
	if err != nil {
		return nil, err
	}
	listed := make([]bool, count)
	for _, r := range ranges {
		if r.last >= count {
			return nil, fmt.Errorf("--partition %q: the stream has %d partitions, numbered from 0", list, count)
		}
		for partition := r.first; partition <= r.last; partition++ {
			listed[partition] = true
		}
	}
	for partition := range count {
		if listed[partition] || list == "" {
			owned = append(owned, partition)
		}
	}
	return owned, nil
}
