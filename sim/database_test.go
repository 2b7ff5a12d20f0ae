package sim_test

import (
	"maps"
	"math/big"
	"slices"

	"github.com/piccolo-counter/piccolo"
)

// database is what is on disk: a model of the tables, and of what a
// transaction does to them.
type database struct {
	w         *world
	epoch     int
	commits   int
	numbers   map[string]int64
	held      map[string][]int64 // the quarantine
	ledger    map[piccolo.Origin]account
	positions map[int]piccolo.Position
	rejected  map[string]bool
	tokens    map[tokenAt]piccolo.Spent
	model     *model // in a backup: what it must be
}

type tokenAt struct {
	partition int
	token     piccolo.Token
}

// account is a row of the ledger.
type account struct {
	watermark  uint64
	above      string
	batches    uint64
	increments uint64
	sum        int64
	skipped    uint64
}

func (a account) read() (piccolo.Account, error) {
	seqs, err := piccolo.ParseSeqSet(a.watermark, a.above)
	return piccolo.Account{Seqs: seqs, Batches: a.batches, Increments: a.increments, Sum: a.sum, Skipped: a.skipped}, err
}

func newDatabase(w *world) *database {
	return &database{
		w:         w,
		numbers:   make(map[string]int64),
		held:      make(map[string][]int64),
		ledger:    make(map[piccolo.Origin]account),
		positions: make(map[int]piccolo.Position),
		rejected:  make(map[string]bool),
		tokens:    make(map[tokenAt]piccolo.Spent),
	}
}

// clone is a backup.
func (db *database) clone() *database {
	c := *db
	c.numbers, c.ledger, c.positions = maps.Clone(db.numbers), maps.Clone(db.ledger), maps.Clone(db.positions)
	c.held, c.rejected = maps.Clone(db.held), maps.Clone(db.rejected) // no slice of held ever changes
	c.tokens = maps.Clone(db.tokens)
	c.model = db.w.book.model.clone()
	return &c
}

// apply does a transaction.
func (db *database) apply(fold *piccolo.Fold) (folded piccolo.Folded) {
	db.commits++
	folded.Rows = len(fold.Deltas)
	for _, d := range fold.Deltas {
		db.add(d, &folded)
	}
	for o, a := range fold.Accounts {
		db.ledger[o] = account{a.Seqs.Watermark(), a.Seqs.Above(), a.Batches, a.Increments, a.Sum, a.Skipped}
	}
	for n, p := range fold.Positions {
		db.positions[n] = p
	}
	for _, r := range fold.Rejected {
		db.rejected[string(r.Data)] = true
	}
	for _, t := range fold.Tokens {
		db.tokens[tokenAt{t.Partition, t.Token}] = t
	}
	maps.DeleteFunc(db.tokens, func(at tokenAt, t piccolo.Spent) bool { return !t.Expires.After(fold.Expired[at.partition]) })
	folded.Totals = make(map[string]int64)
	for _, d := range fold.Deltas {
		if d.WantTotal {
			folded.Totals[d.Key] = db.numbers[d.Key]
		}
	}
	for _, key := range fold.Wanted {
		folded.Totals[key] = db.numbers[key]
	}
	return folded
}

// add adds a delta, or puts it into the quarantine.
func (db *database) add(d piccolo.Delta, folded *piccolo.Folded) {
	total := db.total(d.Key)
	if d.Op != piccolo.OpAdd {
		total.SetInt64(0)
	}
	total.Add(total, big.NewInt(d.Value))
	held := db.held[d.Key]
	if !total.IsInt64() {
		db.held[d.Key] = append(slices.Clip(held), d.Value)
		folded.Quarantined.Add(d.Key, 1)
		return
	}
	if len(held) > 0 {
		folded.Released.Add(d.Key, len(held))
	}
	delete(db.held, d.Key)
	if d.Op == piccolo.OpRemove {
		delete(db.numbers, d.Key)
		return
	}
	db.numbers[d.Key] = total.Int64()
}

// total is a key's true total.
func (db *database) total(key string) *big.Int {
	total := big.NewInt(db.numbers[key])
	for _, v := range db.held[key] {
		total.Add(total, big.NewInt(v))
	}
	return total
}

// folded says whether the ledger has a batch.
func (db *database) folded(id piccolo.BatchID) bool {
	a, err := db.ledger[id.Origin()].read()
	if err != nil {
		db.w.fail("the ledger cannot be read: %v", err)
	}
	return a.Seqs.Contains(id.Seq)
}

// increments counts those that the ledger has.
func (db *database) increments() (n uint64) {
	for _, a := range db.ledger {
		n += a.increments
	}
	return n
}

// missing returns the batches of a partition that the ledger misses: others of
// their producers came after them.
func (db *database) missing(partition int) (ids []piccolo.BatchID) {
	for o, row := range db.ledger {
		a, err := row.read()
		if err != nil || o.Partition != partition {
			continue
		}
		for seq := range a.Seqs.Max() {
			if !a.Seqs.Contains(seq + 1) {
				ids = append(ids, piccolo.BatchID{Producer: o.Producer, Partition: partition, Seq: seq + 1})
			}
		}
	}
	return ids
}
