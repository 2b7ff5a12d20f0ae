package writer

import "github.com/piccolo-counter/piccolo"

// maxNotice is how many bytes a notice takes at most, if it tells of more than one
// batch: the next that does not fit begins another. A server may take no more than
// 1 MiB. One batch alone always fits: it came in a message, and what is told of a
// delta takes no more than an ingress sets aside for it there.
const maxNotice = 256 << 10

// notice tells a producer of batches.
type notice struct {
	piccolo.Applied
	bytes int // that it takes at most
}

// announce tells each producer which of its batches are in the database.
func (w *Writer) announce(s *sum, folded piccolo.Folded) {
	notices := make(map[piccolo.Origin]*notice)
	for _, m := range w.unfolded {
		if m.none() {
			continue
		}
		bytes := told(m, s, folded.Totals)
		a := notices[m.batch.Origin()]
		if a != nil && a.bytes+bytes > maxNotice {
			w.notify(a)
			a = nil
		}
		if a == nil {
			a = &notice{Applied: piccolo.Applied{Producer: m.batch.Producer, Partition: m.batch.Partition}, bytes: piccolo.MaxHeaderSize}
			notices[m.batch.Origin()] = a
		}
		a.bytes += bytes
		a.Seqs = append(a.Seqs, m.batch.Seq)
		a.Conflicts = append(a.Conflicts, s.conflicts[m]...)
		each(m, folded.Totals, func(key string, total int64) {
			if a.Totals == nil {
				a.Totals = make(map[string]int64)
			}
			a.Totals[key] = total
		})
	}
	for _, a := range notices {
		w.notify(a)
	}
}

// notify sends a notice. Nothing exact depends on its coming, but whoever waits for
// it waits in vain.
func (w *Writer) notify(a *notice) {
	if err := w.Stream.Announce(&a.Applied); err != nil {
		w.Log.Warn("an applied notice was not sent", "batches", len(a.Seqs), "totals", len(a.Totals), "error", err)
	}
}

// told bounds how many bytes a notice takes to tell of a batch.
func told(m *delivered, s *sum, totals map[string]int64) int {
	const seq = 10
	bytes := seq + len(s.conflicts[m])*piccolo.MaxOnceSize(nil)
	each(m, totals, func(key string, _ int64) { bytes += piccolo.MaxDeltaSize(len(key)) })
	return bytes
}

// each calls f with every total that a batch wants.
func each(m *delivered, totals map[string]int64, f func(key string, total int64)) {
	if !m.wants {
		return
	}
	among := func(deltas []piccolo.Delta) {
		for i := range deltas {
			if d := &deltas[i]; d.WantTotal {
				if total, ok := totals[d.Key]; ok {
					f(d.Key, total)
				}
			}
		}
	}
	for i := range m.batch.Onces {
		among(m.batch.Onces[i].Deltas)
	}
	among(m.batch.Deltas)
}
