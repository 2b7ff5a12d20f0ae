package sim_test

import (
	"fmt"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// byHand has somebody publish with a tool of NATS: increments in JSON, or what
// is no batch at all.
func (w *world) byHand() bool {
	s := w.stream
	if !s.takes() || !s.exists() || len(s.messages) >= w.room {
		return false
	}
	key, value := pick(w, w.keys), w.value()
	m := &message{
		stored: time.Now(),
		json:   true,
		data:   fmt.Appendf(nil, `{"deltas":[{"key":%q,"value":%d}]}`, key, value),
	}
	partition := piccolo.Partition(piccolo.Hash(key), w.partitions)
	if w.chance(0.3) {
		m.junk, m.data = true, fmt.Appendf(nil, "junk %d", time.Now().UnixNano())
	}
	s.append(partition, m)
	w.logf("%s is published by hand as %d: %s", m.id, m.seq, m.data)
	if !m.junk {
		w.book.counted(m.id, key, value)
		w.book.acked(m.id)
		c := &change{op: piccolo.OpAdd, value: value, sent: w.stamp(), told: w.stamp(), id: m.id}
		w.book.keys[key].changes = append(w.book.keys[key].changes, c)
	}
	return true
}

// kept says whether the database has what a message says, or has the message
// itself.
func (db *database) kept(m *message) bool {
	if m.junk {
		return db.rejected[string(m.data)]
	}
	return db.folded(m.id)
}
