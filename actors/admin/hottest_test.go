package admin

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// Among many thousands of lukewarm keys, the hot ones are found, in their order
// and with about their rates.
func TestHottestAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h hottest
		for second := range 60 {
			deltas := []piccolo.Delta{{Key: "second", Value: -500}, {Key: "first", Value: 1000}, {Key: "zero"}}
			for i := range 1000 {
				deltas = append(deltas, piccolo.Delta{Key: fmt.Sprint("cold", second*1000+i), Value: 1})
			}
			h.add(deltas)
			time.Sleep(time.Second)
		}
		top := h.top(time.Now(), 3)
		if len(top) != 3 || top[0].Key != "first" || top[1].Key != "second" {
			t.Fatalf("%+v", top)
		}
		if off := math.Abs(top[0].Moved/1000 - 1); off > 0.1 {
			t.Errorf("moves by %.0f a second, want 1000", top[0].Moved)
		}
		time.Sleep(10 * time.Minute)
		if top := h.top(time.Now(), 3); len(top) != 0 {
			t.Errorf("ten minutes later %+v", top)
		}
	})
}

func TestHottestSkipsEvenly(t *testing.T) {
	t.Parallel()
	var h hottest
	deltas := make([]piccolo.Delta, 10*hotRows)
	for i := range deltas {
		deltas[i] = piccolo.Delta{Key: fmt.Sprint(i % 2), Value: 1}
	}
	for range 50 {
		h.add(deltas)
	}
	top := h.top(time.Now(), 2)
	if len(top) != 2 || top[0].Moved > 1.5*top[1].Moved {
		t.Errorf("%+v: want two alike", top)
	}
}

func TestHottestOfNothing(t *testing.T) {
	t.Parallel()
	var h hottest
	h.add(nil)
	if top := h.top(time.Now(), 10); len(top) != 0 {
		t.Errorf("%+v", top)
	}
}

// What a commit pays for it, beside several µs a row in SQLite.
func BenchmarkHottest(b *testing.B) {
	for _, rows := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(rows, " rows"), func(b *testing.B) {
			var h hottest
			deltas := make([]piccolo.Delta, rows)
			for i := range deltas {
				deltas[i] = piccolo.Delta{Key: fmt.Sprint("key-", i), Value: int64(i%7 + 1)}
			}
			b.ReportAllocs()
			for b.Loop() {
				h.add(deltas)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}
