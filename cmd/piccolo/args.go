package main

import (
	"slices"
	"strconv"
)

// negatives moves numbers below zero behind the flags, where they are none:
// piccolo incr foo -3.
func negatives(args []string) []string {
	at := slices.IndexFunc(args, func(a string) bool { return a == "incr" || a == "set" })
	if at < 0 || slices.Contains(args, "--") {
		return args
	}
	var front, back []string
	for _, a := range args[at:] {
		if _, err := strconv.ParseFloat(a, 64); err == nil && a[0] == '-' {
			back = append(back, a)
		} else {
			front = append(front, a)
		}
	}
	if len(back) == 0 {
		return args
	}
	return slices.Concat(args[:at], front, []string{"--"}, back)
}
