//go:build race

package sim_test

// Under the race detector a seed takes many times as long.
func init() { *seeds, *repeated = 150, 5 }
