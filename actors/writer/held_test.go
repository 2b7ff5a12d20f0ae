package writer_test

import (
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/piccolo-counter/piccolo"
)

// A writer with nothing to do holds no message that it has folded: together they
// are as many as 64 MiB, and with what they decode to as much again.
func TestIdleWriterHoldsNoMessage(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		key := strings.Repeat("k", 100)
		r.stream.publish(batch(1, piccolo.Delta{Key: key, Value: 1}), batch(2, piccolo.Delta{Key: key, Value: 1, WantTotal: true}))
		var messages []weak.Pointer[byte]
		for _, m := range r.stream.held {
			messages = append(messages, weak.Make(&m.data[0]))
		}
		r.start()
		r.pass(2 * time.Second) // and the stream holds them no more
		r.store.wantValues(t, map[string]int64{key: 2})
		r.store.commits, r.seen.commits, r.stream.notices = nil, nil, nil
		runtime.GC()
		for i, m := range messages {
			if m.Value() != nil {
				t.Errorf("message %d is still there", i+1)
			}
		}
	})
}
