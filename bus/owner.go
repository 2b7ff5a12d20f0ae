package bus

import (
	"fmt"
	"slices"
	"sync"

	"github.com/piccolo-counter/piccolo"
)

// owner is the database that a bus subscribes for, and the writer that does. A
// partition belongs to one database: numbers of one key in two of them would
// both be wrong, and a ledger knows only what went into its own.
type owner struct {
	database string           // empty for a bus that is no writer's
	moves    map[int][]string // see Received
	writer   string           // tells two that brought copies of one database apart
	adopt    bool

	taken *sync.Map // partitions that the writer has named itself in the consumer of, with the move that it found there
}

// Own says which database, by its id, the partitions that are subscribed to
// from now on are folded into. A partition that belongs to another one is
// refused, with piccolo.ErrOwned; or taken over, with adopt, which is for a
// stream that nobody else can have made a database for.
func (b *Bus) Own(database string, adopt bool) {
	b.owner.database, b.owner.adopt = database, adopt
}

// Received says which moves, by their ids, brought partitions to the database that
// Own named. A copy of it from before a move has the database's id, and not what
// came to it: it is refused that partition, with piccolo.ErrOwned.
func (b *Bus) Received(moves map[int][]string) { b.owner.moves = moves }

// metadata is what the consumer of a partition says of its owner, and of the move
// that brought it there, if one did.
func (o owner) metadata(move string) map[string]string {
	if o.database == "" {
		return nil
	}
	m := map[string]string{metaDatabase: o.database, metaWriter: o.writer}
	if move != "" {
		m[metaMove] = move
	}
	return m
}

// admits says why the owner may not have a partition whose consumer has this
// metadata, or nil.
func (o owner) admits(partition int, metadata map[string]string) error {
	have, move := metadata[metaDatabase], metadata[metaMove]
	if have == o.database {
		if err := CheckMoved(o.moves, partition, have, move); err != nil {
			return err
		}
	}
	if have == "" || have == o.database || o.adopt {
		return nil
	}
	return fmt.Errorf("%w: partition %d belongs to database %s, and this one is %s: give this writer that database (restore it from a backup if it is gone), or move the partition here with: piccolo stream move",
		piccolo.ErrOwned, partition, have, o.database)
}

// CheckMoved says why a copy of a database that these moves brought partitions to may
// not have one that came to the database by move, or nil: it has not what came
// with it. The error is piccolo.ErrOwned.
func CheckMoved(moves map[int][]string, partition int, database, move string) error {
	if move == "" || slices.Contains(moves[partition], move) {
		return nil
	}
	return fmt.Errorf("%w: partition %d came to database %s by a move that this copy of it knows nothing of, and with it the partition's numbers: it is a backup from before that move; restore one that was made since",
		piccolo.ErrOwned, partition, database)
}

// again says why the owner may not subscribe once more to a partition whose
// consumer has this metadata, or nil. Whoever was superseded must not take it
// back, or two writers would take it from one another.
func (o owner) again(partition int, metadata map[string]string) error {
	if _, taken := o.taken.Load(partition); !taken {
		return nil
	}
	return o.superseded(partition, metadata)
}

// superseded says whether another writer has taken the partition over since
// this one subscribed. Within a database its fence would say so, but of a copy
// of it on another host nothing else tells.
func (o owner) superseded(partition int, metadata map[string]string) error {
	have := metadata[metaWriter]
	if o.database == "" || have == "" || have == o.writer {
		return nil
	}
	return fmt.Errorf("%w partition %d, with database %s; this one has %s", piccolo.ErrFenced, partition, metadata[metaDatabase], o.database)
}
