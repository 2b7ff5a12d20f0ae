package writer

import "github.com/piccolo-counter/piccolo"

// mostTotals is how many totals a notice has before the next batch begins another.
// A batch came in one message, and so what is told of it fits into one, with these
// besides.
const mostTotals = 4096

// announce tells each producer which of its batches are in the database.
func (w *Writer) announce(s *sum, folded piccolo.Folded) {
	notices := make(map[piccolo.Origin]*piccolo.Applied)
	for _, m := range w.unfolded {
		if m.none() {
			continue
		}
		a := notices[m.batch.Origin()]
		if a != nil && len(a.Totals) >= mostTotals {
			w.notify(a)
			a = nil
		}
		if a == nil {
			a = &piccolo.Applied{Producer: m.batch.Producer, Partition: m.batch.Partition}
			notices[m.batch.Origin()] = a
		}
		a.Seqs = append(a.Seqs, m.batch.Seq)
		a.Conflicts = append(a.Conflicts, s.conflicts[m]...)
		for i := range m.batch.Onces {
			tell(a, m.batch.Onces[i].Deltas, folded.Totals)
		}
		tell(a, m.batch.Deltas, folded.Totals)
	}
	for _, a := range notices {
		w.notify(a)
	}
}

// notify sends a notice. Nothing exact depends on its coming.
func (w *Writer) notify(a *piccolo.Applied) {
	if err := w.Stream.Announce(a); err != nil {
		w.Log.Debug("an applied notice was not sent", "error", err)
	}
}

// tell puts the totals that deltas want into a notice.
func tell(a *piccolo.Applied, deltas []piccolo.Delta, totals map[string]int64) {
	for i := range deltas {
		d := &deltas[i]
		if total, ok := totals[d.Key]; ok && d.WantTotal {
			if a.Totals == nil {
				a.Totals = make(map[string]int64)
			}
			a.Totals[d.Key] = total
		}
	}
}
