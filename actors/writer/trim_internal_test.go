package writer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// trimmed is a stream that remembers up to where it was trimmed.
type trimmed struct {
	Stream
	upto uint64
}

func (s *trimmed) Trim(_ context.Context, _ int, upto uint64) error {
	s.upto = upto
	return nil
}

// However long is retained, there are few floors to look through once a second; and
// what they are about is never trimmed earlier, nor much later.
func TestFewFloorsForALongTime(t *testing.T) {
	for _, retain := range []time.Duration{0, time.Minute, time.Hour, 48 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			stream := new(trimmed)
			w := &Writer{Config: Config{Retain: retain, Stream: stream}}
			p := new(partition)
			kept, step := int(retain.Seconds()), int((retain/maxFloors).Seconds())+1
			most := 0
			for now := range kept + kept/4 + 10 { // one message a second, of the number of its second
				w.trim(t.Context(), p, uint64(now))
				most = max(most, len(p.floors))
				if upto := int(stream.upto); upto > max(now-kept, 0) || upto < now-kept-step {
					t.Fatalf("retain %v: trimmed up to %d after %d s", retain, upto, now)
				}
				time.Sleep(time.Second)
			}
			if most > maxFloors+1 {
				t.Errorf("retain %v: %d floors", retain, most)
			}
		})
	}
}
