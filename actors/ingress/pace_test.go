package ingress

import (
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

func TestPaceLeavesTimeForTheCommit(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name                     string
		interval, freshness, lag time.Duration
		want                     time.Duration
	}{
		{"no freshness: the interval", 20 * ms, 0, 5 * ms, 20 * ms},
		{"one flush a commit", 20 * ms, 25 * ms, 5 * ms, 20 * ms},
		{"one that is shorter", 20 * ms, 15 * ms, 5 * ms, 10 * ms},
		{"two a commit", 20 * ms, 45 * ms, 5 * ms, 20 * ms},
		{"two, shorter than the interval", 20 * ms, 35 * ms, 5 * ms, 15 * ms},
		{"many", 20 * ms, 105 * ms, 5 * ms, 20 * ms},
		{"nothing is known of the way yet", 20 * ms, 40 * ms, 0, 20 * ms},
		{"the way takes all: flushes do not crowd it", 20 * ms, 10 * ms, 40 * ms, 10 * ms},
		{"a bad way: not less than the interval asks for", 20 * ms, 10 * ms, time.Second, 20 * ms},
	} {
		p := newPace(tt.interval, tt.freshness)
		p.lag = tt.lag
		if got := p.gather(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestPaceLearnsFromNotices(t *testing.T) {
	const ms = time.Millisecond
	p := newPace(20*ms, 100*ms)
	now := time.Now()
	notice := func(seqs ...uint64) {
		p.applied(piccolo.Applied{Producer: "p", Seqs: seqs}, now)
	}
	notice()
	notice(7)
	if p.lag != 0 {
		t.Fatalf("a lag of %s, from notices of batches that were not sealed here", p.lag)
	}
	for seq := range uint64(1000) {
		p.seals(seq+1, now)
	}
	now = now.Add(8 * ms)
	notice(998, 1000, 999)
	if p.lag != 8*ms {
		t.Errorf("a lag of %s, want 8ms", p.lag)
	}
	notice(2) // forgotten
	p.seals(1001, now)
	now = now.Add(4 * ms)
	notice(1001)
	if p.lag != 7*ms {
		t.Errorf("a lag of %s, want 7ms", p.lag)
	}
	// A writer that was away for a minute is soon forgiven.
	p.seals(1002, now)
	now = now.Add(time.Minute)
	notice(1002)
	for seq := range uint64(10) {
		p.seals(1003+seq, now)
		now = now.Add(5 * ms)
		notice(1003 + seq)
	}
	if p.lag > 10*ms {
		t.Errorf("a lag of %s, ten batches that took 5ms after one of a minute", p.lag)
	}
}
