package piccolo_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// A key lies within the bounds of a page exactly if it starts with the prefix
// and comes after the cursor, whatever bytes there are.
func TestPageBounds(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', '%', '_', 0x7F, 0xFF, 'ÿ', 0x10FFFF}), 0, 3, -1)
	rapid.Check(t, func(t *rapid.T) {
		p := piccolo.Page{Prefix: text.Draw(t, "prefix"), After: text.Draw(t, "after")}
		key := text.Draw(t, "key")
		from, open, to := p.Bounds()
		within := (key > from || !open && key == from) && (to == "" || key < to)
		if want := strings.HasPrefix(key, p.Prefix) && (p.After == "" || key > p.After); within != want {
			t.Errorf("%+v: bounds %q (open %v) to %q, key %q", p, from, open, to, key)
		}
	})
}

// A prefix of nothing but the highest byte has no upper bound.
func TestPageBoundsOfTheHighestByte(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "\xFF": "", "\xFF\xFF": "", "a\xFF": "b", "a": "b"} {
		if _, _, to := (&piccolo.Page{Prefix: prefix}).Bounds(); to != want {
			t.Errorf("prefix %q goes up to %q, want %q", prefix, to, want)
		}
	}
}
