package writer

import (
	"testing"
	"time"
)

func TestGearWindow(t *testing.T) {
	const (
		ms        = time.Millisecond
		freshness = 100 * ms
	)
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		took  time.Duration // the last transaction
		work  time.Duration // of it
		ended time.Duration // ago
		old   time.Duration // the oldest increment
		want  time.Duration
	}{
		{"idle: 12 ms after a transaction of 1 ms there is nothing to wait for", 1 * ms, 0, 12 * ms, 0, 0},
		{"idle for an hour", 1 * ms, 0, time.Hour, 0, 0},
		{"busy: the rest of 12 times what it took", 1 * ms, 0, 0, 0, 12 * ms},
		{"busy: 3 of 12 ms have passed", 1 * ms, 0, 3 * ms, 0, 9 * ms},
		{"very busy: what the freshness leaves, 100 - 20 ms", 20 * ms, 0, 0, 0, 80 * ms},
		{"very busy: 50 ms of that have passed", 20 * ms, 0, 0, 50 * ms, 30 * ms},
		{"late: the oldest has waited long enough", 20 * ms, 0, 0, 80 * ms, 0},
		{"very late: no time to lose", 20 * ms, 0, 0, time.Hour, 0},
		{"too busy: a transaction takes longer than the freshness", 150 * ms, 0, 0, 0, 0},
		{"too busy with many rows: half of the time is for others", 150 * ms, 150 * ms, 0, time.Hour, 150 * ms},
		{"the same, 100 ms later", 150 * ms, 150 * ms, 100 * ms, time.Hour, 50 * ms},
		{"too busy waiting for the disk: nobody else needs the time", 150 * ms, 1 * ms, 1 * ms, time.Hour, 0},
		{"a clock ahead of ours: the freshness at most", 20 * ms, 0, 0, -time.Hour, freshness},
	} {
		g := gear{freshness: freshness, took: tt.took, work: tt.work, at: now.Add(-tt.ended), rest: 12 * tt.took, oldest: now.Add(-tt.old)}
		if got := g.window(now); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	first := gear{freshness: freshness, oldest: now}
	if got := first.window(now); got != 0 {
		t.Errorf("the first of all: got %v, want 0", got)
	}
	impatient := gear{took: ms, at: now, rest: 12 * ms, oldest: now}
	if got := impatient.window(now); got != 0 {
		t.Errorf("no freshness: got %v, want 0", got)
	}
}

// A writer does not wait for what does not come in time.
func TestGearKnowsWhenTheNextBatchComes(t *testing.T) {
	const ms = time.Millisecond
	now := time.Now()
	for _, tt := range []struct {
		spacing time.Duration // of the batches so far
		age     time.Duration // of the oldest increment
		want    time.Duration
	}{
		{1 * ms, 20 * ms, 10 * ms},
		{9 * ms, 20 * ms, 10 * ms},
		{11 * ms, 20 * ms, 0},
		{11 * ms, 10 * ms, 20 * ms},
		{time.Hour, 0, 0},
	} {
		g := gear{freshness: 40 * ms, took: 10 * ms, at: now, rest: 120 * ms, oldest: now.Add(-tt.age)}
		for i := range 50 {
			g.arrived(now.Add(time.Duration(i-49) * tt.spacing))
		}
		if got := g.window(now); got != tt.want {
			t.Errorf("one in %s, %s old: got %s, want %s", tt.spacing, tt.age, got, tt.want)
		}
	}
	// After an hour of silence it takes a few batches to know better.
	g := gear{freshness: 40 * ms, took: ms, rest: 12 * ms}
	g.arrived(now.Add(-time.Hour))
	for range 10 {
		now = now.Add(ms)
		g.arrived(now)
	}
	if g.spacing > 5*ms {
		t.Errorf("ten batches, one each ms, after an hour of silence: one in %s is expected", g.spacing)
	}
}

// A slow transaction is remembered, and less so with each that is faster.
func TestGearRemembersWhatTransactionsTook(t *testing.T) {
	var g gear
	for _, tt := range []struct{ took, want time.Duration }{
		{100, 100},
		{20, (3*100 + 20) / 4},
		{20, (3*80 + 20) / 4},
		{200, 200},
	} {
		g.deltas, g.oldest, g.urgent = 5, time.Now(), true
		now := time.Now()
		g.folded(tt.took, now)
		if g.took != tt.want || !g.at.Equal(now) {
			t.Errorf("after one of %d: got %d, want %d", tt.took, g.took, tt.want)
		}
		if g.deltas != 0 || !g.oldest.IsZero() || g.urgent {
			t.Errorf("it still gathers %+v", g)
		}
	}
}

// A transaction of few deltas that takes long has waited, one of many has worked.
func TestGearTellsWorkFromWaiting(t *testing.T) {
	for _, tt := range []struct {
		deltas     int
		took, want time.Duration
	}{
		{100, time.Second, 100 * workPerDelta},
		{100_000, 300 * time.Millisecond, 300 * time.Millisecond},
		{0, time.Second, 0},
	} {
		g := gear{deltas: tt.deltas}
		g.folded(tt.took, time.Now())
		if g.work != tt.want {
			t.Errorf("%d deltas in %v: got %v of work, want %v", tt.deltas, tt.took, g.work, tt.want)
		}
	}
}

// The rest after a transaction grows with what was in it: a lone batch of few
// deltas leaves the writer ready for the next nearly at once.
func TestGearRestsByTheLoad(t *testing.T) {
	const took = 8 * time.Millisecond
	for _, tt := range []struct {
		batches, deltas int
		want            time.Duration
	}{
		{0, 0, 0},
		{1, 1, 2*took + took/8},
		{1, 16, 2*took + 2*took},
		{3, 3, 6*took + 3*took/8},
		{1, 80, 12 * took},
		{6, 6, 12 * took},
		{100, 100_000, 12 * took},
	} {
		g := gear{batches: tt.batches, deltas: tt.deltas}
		g.folded(took, time.Now())
		if g.rest != tt.want || g.batches != 0 {
			t.Errorf("after %d batches of %d deltas: got %v, want %v", tt.batches, tt.deltas, g.rest, tt.want)
		}
	}
}

// A transaction is as large as memory allows, unless the disk makes many rows
// take too long.
func TestGearBoundsATransaction(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name   string
		deltas int
		took   time.Duration
		want   int
	}{
		{"nothing has been folded yet", 0, 0, 50_000},
		{"few say nothing", 9_999, time.Minute, 50_000},
		{"10 µs a delta", 50_000, 500 * time.Millisecond, 200_000},
		{"1 µs a delta: memory is what bounds it", 50_000, 50 * time.Millisecond, 500_000},
		{"10 ms a delta: a disk that hardly goes", 10_000, 100 * time.Second, 10_000},
	} {
		var g gear
		g.deltas = tt.deltas
		g.folded(tt.took, now)
		g.deltas = tt.want - 1
		if g.full() {
			t.Errorf("%s: full with %d", tt.name, g.deltas)
		}
		g.deltas++
		if !g.full() {
			t.Errorf("%s: not full with %d", tt.name, g.deltas)
		}
	}
	for _, g := range []gear{{batches: maxFoldBatches}, {bytes: maxFoldBytes}} {
		if !g.full() {
			t.Errorf("%+v is not full", g)
		}
	}
}
