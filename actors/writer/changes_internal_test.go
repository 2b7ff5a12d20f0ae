package writer

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// Whatever changes, and however a watcher asks, he is told of each key's last
// change, and of nothing before a cursor once more.
func TestChangesAreNeverMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c changes
		c.clear()
		wants := make(map[string]uint64) // the last change of each
		for i, key := range rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "ab", "%", "c"})).Draw(t, "changes") {
			c.put(key)
			wants[key] = uint64(i + 1)
		}
		q := &piccolo.Changes{Prefix: rapid.SampledFrom([]string{"", "a", "%"}).Draw(t, "prefix")}
		if rapid.Bool().Draw(t, "keys") {
			q = &piccolo.Changes{Keys: []string{"a", "ab", "never"}}
		}
		seen := rapid.Uint64Range(0, c.last).Draw(t, "seen")
		n := c.collect(q, seen)
		told := make(map[string]bool)
		for _, key := range n.keys {
			if told[key] {
				t.Errorf("%s is told twice", key)
			}
			told[key] = true
		}
		for _, key := range []string{"a", "b", "ab", "%", "c"} {
			asked := strings.HasPrefix(key, q.Prefix)
			if len(q.Keys) > 0 {
				asked = key == "a" || key == "ab"
			}
			if want := asked && wants[key] > seen; told[key] != want {
				t.Errorf("%s, changed at %d, seen %d: told %v", key, wants[key], seen, told[key])
			}
		}
		if n.upto != c.last {
			t.Errorf("seen up to %d of %d", n.upto, c.last)
		}
	})
}

// The log is bounded: what it has lost it does not hide.
func TestChangesThatAreTooMany(t *testing.T) {
	var c changes
	c.clear()
	for i := range maxChanges + 10 {
		c.put(fmt.Sprint(i))
	}
	if len(c.keys) != maxChanges || c.from != 10 {
		t.Errorf("%d keys, those up to change %d are gone; want %d and 10", len(c.keys), c.from, maxChanges)
	}
}

// A commit does nothing while nobody watches, and never waits for who does.
func BenchmarkCommitIsWatched(b *testing.B) {
	deltas := make([]piccolo.Delta, 10_000)
	for i := range deltas {
		deltas[i].Key = fmt.Sprint(i)
	}
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprintf("watched=%v", watched), func(b *testing.B) {
			var c changes
			if watched {
				c.watch(b.Context())
			}
			b.ReportAllocs()
			for b.Loop() {
				c.committed(deltas)
			}
		})
	}
}
