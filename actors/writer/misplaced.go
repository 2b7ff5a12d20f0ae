package writer

import (
	"fmt"

	"github.com/piccolo-counter/piccolo"
)

// A number is looked for in the database of its key's partition. An ingress puts
// it there, but for one that had not heard that the stream grew, or left batches
// in a spool until it had: its keys of what is now another partition come on the
// subject of the one before. That does no harm as long as one database has both.
//
// What belongs to another database is put into rejected, whole, and not into a
// sum that nobody would read. So it is not lost, and somebody is told.
//
// Invariant: a batch that is in rejected is in the ledger, its increments as
// skipped. So its producer misses none, and it is not folded when it comes again
// after its keys' partition has come back: somebody may have counted it by then.

// divide finds the partitions that have been divided since the stream was made,
// with a part that another database has. All others' batches need no look.
func (w *Writer) divide() {
	for _, p := range w.owned {
		p.divided = false
		for q := range w.Of {
			if w.GrewFrom > 0 && q%w.GrewFrom == p.number%w.GrewFrom && w.partition[q] == nil {
				p.divided = true
			}
		}
	}
}

// misplaced says which key of a batch is in a partition that this writer does not
// have. That the key's partition is another of this writer's is no harm.
//
// Of one that the ledger has it cannot be told whether it was counted, before the
// partition moved, or put into rejected. So it is not announced again.
func (w *Writer) misplaced(m *delivered) error {
	for i := range m.batch.Onces {
		if err := w.misplacedAmong(m, m.batch.Onces[i].Deltas); err != nil {
			return err
		}
	}
	return w.misplacedAmong(m, m.batch.Deltas)
}

func (w *Writer) misplacedAmong(m *delivered, deltas []piccolo.Delta) error {
	for i := range deltas {
		p := piccolo.Partition(piccolo.Hash(deltas[i].Key), w.Of)
		if w.partition[p] != nil {
			continue
		}
		todo := "publish it there"
		if !m.JSON {
			todo = "its ingress counted before the stream grew, and that partition has moved to another database; see what is in it with piccolo decode, and count it again"
		}
		return fmt.Errorf("batch: key %q is in partition %d of %d, and it came on the subject of partition %d: %s", deltas[i].Key, p, w.Of, m.Partition, todo)
	}
	return nil
}
