package piccolo_test

import (
	"testing"

	"github.com/piccolo-counter/piccolo"
)

func FuzzParseCursors(f *testing.F) {
	for _, s := range []string{"", "a.0", "a.1,b.18446744073709551615", "a.1,a.2", "a", ".1", "a.-1", "a.1,", "a.01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := piccolo.ParseCursors(s)
		if err != nil {
			return
		}
		again, err := piccolo.ParseCursors(c.String())
		if err != nil || len(again) != len(c) {
			t.Fatalf("%q is read as %v, which is written as %q and read as %v, %v", s, c, c.String(), again, err)
		}
		for log, n := range c {
			if again[log] != n {
				t.Errorf("%q: %s is %d, and %d when read again", s, log, n, again[log])
			}
		}
	})
}
