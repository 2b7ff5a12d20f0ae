package main

import (
	"testing"
	"time"
)

// The line that shows the progress never fills the terminal, and gives up the
// bar before the numbers.
func TestProgressText(t *testing.T) {
	file := progress{size: 2000, read: 999}
	for _, c := range []struct {
		p       progress
		columns int
		want    string
	}{
		{file, 80, "[==============                ]  49 %  1,234,567 counted, 617,283/s"},
		{file, 53, "[======        ]  49 %  1,234,567 counted, 617,283/s"},
		{file, 40, " 49 %  1,234,567 counted, 617,283/s"},
		{file, 20, " 49 %  1,234,567 co"},
		{file, 0, ""},
		{progress{read: 999}, 80, "1,234,567 counted, 617,283/s"}, // from a pipe
		{progress{size: 2000, read: 2001}, 80, "[==============================] 100 %  1,234,567 counted, 617,283/s"}, // a last line without its end
	} {
		if got := c.p.text(1_234_567, 2*time.Second, c.columns); got != c.want || len(got) >= max(c.columns, 1) {
			t.Errorf("%d of %d bytes, %d columns: %q, want %q", c.p.read, c.p.size, c.columns, got, c.want)
		}
	}
	if got := (&progress{}).text(5, 0, 80); got != "5 counted, 5,000/s" {
		t.Errorf("at once: %q", got)
	}
}
