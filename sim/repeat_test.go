package sim_test

import "testing"

// TestRepeats runs seeds twice: what happens is the same, to the nanosecond.
func TestRepeats(t *testing.T) {
	oneProcessor(t)
	dir := tempDir(t)
	for n := range uint64(*repeated) {
		var traces [2]trace
		for i := range traces {
			if err := tryOne(t, *first+n, mutant{}, &traces[i], dir); err != nil {
				t.Fatalf("seed %d: %v", *first+n, err)
			}
		}
		if i, same := traces[0].differs(&traces[1]); !same {
			t.Fatalf("seed %d: after\n%s\ncame once\n%s\nand once\n%s", *first+n,
				traces[0].around(i-10, i), traces[0].around(i, i+3), traces[1].around(i, i+3))
		}
	}
}
