package writer

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// TestSortedByKeyAndThenInOrder compares with the sort that says the same in a
// line: of keys that begin alike, or are one another's beginning, or have zero
// bytes where others end.
func TestSortedByKeyAndThenInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom([]string{"", "k", "key-0000", "a-prefix-of-many-bytes-"}).Draw(t, "prefix")
		rest := rapid.StringOfN(rapid.SampledFrom([]rune{0, 'a', 'b', 'ÿ'}), 0, 12, -1)
		var m merger
		for i, key := range rapid.SliceOf(rest).Draw(t, "keys") {
			m.deltas = append(m.deltas, piccolo.Delta{Key: prefix + key, Value: int64(i)})
		}
		want := slices.Clone(m.deltas)
		slices.SortStableFunc(want, func(a, b piccolo.Delta) int { return strings.Compare(a.Key, b.Key) })
		if got := m.sorted(); !slices.Equal(got, want) {
			t.Fatalf("sorted: %v, want %v", got, want)
		}
	})
}
