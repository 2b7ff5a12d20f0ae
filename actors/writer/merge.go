package writer

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/piccolo-counter/piccolo"
)

// merger adds deltas up by key, in the order of the stream. Where a sum leaves
// int64, the key gets one more delta instead.
type merger struct {
	deltas []piccolo.Delta
	at     map[string]int // where in deltas the key's last one is
}

func (m *merger) add(deltas []piccolo.Delta) {
	for _, d := range deltas {
		i, ok := m.at[d.Key]
		if !ok || !merge(&m.deltas[i], d) {
			m.at[d.Key] = len(m.deltas)
			m.deltas = append(m.deltas, d)
		}
	}
}

// merge has one delta do what d does after it, and returns false where one
// cannot.
func merge(have *piccolo.Delta, d piccolo.Delta) bool {
	if d.Op != piccolo.OpAdd {
		// Whatever stood before is overwritten.
		d.WantTotal = d.WantTotal || have.WantTotal
		*have = d
		return true
	}
	total, ok := piccolo.Add(have.Value, d.Value)
	if !ok {
		return false
	}
	have.Value = total
	have.WantTotal = have.WantTotal || d.WantTotal
	if have.Op == piccolo.OpRemove {
		have.Op = piccolo.OpSet // there is something again, if it is 0
	}
	return true
}

// sorted returns the deltas by key, and those of one key in their order: rows in
// the order of the table touch each of its pages once.
//
// Comparing strings would take longer than adding them up did. So what is sorted
// are the first eight bytes behind what all keys begin with, as numbers; only
// where two are the same are the keys looked at.
func (m *merger) sorted() []piccolo.Delta {
	type mark struct {
		head uint64
		at   int
	}
	prefix := commonPrefix(m.deltas)
	marks := make([]mark, len(m.deltas))
	for i := range m.deltas {
		var head [8]byte
		copy(head[:], m.deltas[i].Key[prefix:])
		marks[i] = mark{binary.BigEndian.Uint64(head[:]), i}
	}
	slices.SortFunc(marks, func(a, b mark) int {
		if c := cmp.Compare(a.head, b.head); c != 0 {
			return c
		}
		if c := strings.Compare(m.deltas[a.at].Key, m.deltas[b.at].Key); c != 0 {
			return c
		}
		return a.at - b.at
	})
	sorted := make([]piccolo.Delta, len(marks))
	for i, k := range marks {
		sorted[i] = m.deltas[k.at]
	}
	return sorted
}

// commonPrefix is how many bytes all keys begin with alike.
func commonPrefix(deltas []piccolo.Delta) int {
	if len(deltas) == 0 {
		return 0
	}
	prefix := deltas[0].Key
	for i := range deltas {
		for !strings.HasPrefix(deltas[i].Key, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return len(prefix)
}
