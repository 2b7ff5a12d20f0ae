package writer

import "github.com/piccolo-counter/piccolo"

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
