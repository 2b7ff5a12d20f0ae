package sim_test

import (
	"bytes"
	"math/big"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// book is what the clients know, and what was seen on the way: which batch
// carries which increments, by what Count said, and how far each has got.
type book struct {
	w       *world
	batches map[piccolo.BatchID]*batch
	origins map[piccolo.Origin][]*batch // in the order of their seqs
	order   []*batch
	keys    map[string]*tally
}

// batch is one as it must be.
type batch struct {
	id         piccolo.BatchID
	accepted   time.Time
	increments uint64
	sums       map[string]*big.Int
	sum        int64  // modulo 2^64
	data       []byte // as it was first published; nil before

	acked    bool // a PubAck for it has reached an ingress
	vanished bool // the stream lost it
	folded   bool
	commit   int // which folded it
}

func newBook(w *world) *book {
	b := &book{
		w:       w,
		batches: make(map[piccolo.BatchID]*batch),
		origins: make(map[piccolo.Origin][]*batch),
		keys:    make(map[string]*tally),
	}
	for _, key := range w.keys {
		b.keys[key] = newTally()
	}
	return b
}

// counted enters an increment that an ingress has counted.
func (bk *book) counted(id piccolo.BatchID, key string, value int64) *batch {
	b := bk.batches[id]
	if b == nil {
		b = &batch{id: id, accepted: time.Now(), sums: make(map[string]*big.Int)}
		of := bk.origins[id.Origin()]
		if int(id.Seq) != len(of)+1 {
			bk.w.fail("batch %s is opened after %d", id, len(of))
		}
		bk.batches[id], bk.origins[id.Origin()] = b, append(of, b)
		bk.order = append(bk.order, b)
	}
	if b.data != nil {
		bk.w.fail("an increment joins batch %s, which is sealed", id)
	}
	b.increments++
	sum := b.sums[key]
	if sum == nil {
		sum = new(big.Int)
		b.sums[key] = sum
	}
	sum.Add(sum, big.NewInt(value))
	b.sum += value
	bk.keys[key].attempted.add(value)
	return b
}

// published holds a message against what it must be.
func (bk *book) published(m *piccolo.Message) {
	b := bk.batches[m.ID]
	if b == nil {
		bk.w.fail("batch %s is published, and nobody counted anything for it", m.ID)
		return
	}
	if b.data == nil {
		b.data = bytes.Clone(m.Data)
		b.check(bk.w, m)
	} else if !bytes.Equal(b.data, m.Data) {
		bk.w.fail("batch %s is published again with other bytes", m.ID)
	}
	if m.ID.Seq > 1 && !bk.origins[m.ID.Origin()][m.ID.Seq-2].acked {
		bk.w.fail("batch %s is published before the one before it is acknowledged", m.ID)
	}
}

// check holds the message's content against what was counted.
func (b *batch) check(w *world, m *piccolo.Message) {
	var got piccolo.Batch
	if err := piccolo.DecodeBatch(bytes.Clone(m.Data), &got); err != nil {
		w.fail("batch %s: %v", b.id, err)
		return
	}
	if got.BatchID != b.id || got.Increments != b.increments || m.Increments != b.increments || m.Keys != len(got.Deltas) {
		w.fail("batch %s of %d increments is published as %s of %d, as %d deltas for %d",
			b.id, b.increments, got.BatchID, got.Increments, m.Keys, m.Increments)
	}
	if !got.Accepted.Equal(b.accepted.Truncate(time.Microsecond)) {
		w.fail("batch %s was accepted at %s, and says %s", b.id, b.accepted, got.Accepted)
	}
	if len(m.Data) > w.maxMessage {
		w.fail("batch %s has %d bytes, more than %d", b.id, len(m.Data), w.maxMessage)
	}
	sums := make(map[string]*big.Int)
	for _, d := range got.Deltas {
		if piccolo.Partition(piccolo.Hash(d.Key), w.partitions) != b.id.Partition {
			w.fail("batch %s has key %q of another partition", b.id, d.Key)
		}
		if sums[d.Key] == nil {
			sums[d.Key] = new(big.Int)
		}
		sums[d.Key].Add(sums[d.Key], big.NewInt(d.Value))
	}
	if len(sums) != len(b.sums) {
		w.fail("batch %s has %d keys, of %d", b.id, len(sums), len(b.sums))
	}
	for key, sum := range b.sums {
		if sums[key] == nil || sums[key].Cmp(sum) != 0 {
			w.fail("batch %s has %v for key %q, and %v was counted", b.id, sums[key], key, sum)
		}
	}
}

// acked notes that an ingress was told that a batch is stored.
func (bk *book) acked(id piccolo.BatchID) {
	if b := bk.batches[id]; b != nil { // published has failed otherwise
		b.acked = true
	}
}

// vanished notes that the stream lost a message.
func (bk *book) vanished(m *message) {
	if b := bk.batches[m.id]; b != nil {
		b.vanished = true
	}
}

// trimmed notes that a writer removed a message. Invariant: it is committed.
func (bk *book) trimmed(m *message) {
	if !bk.w.db.kept(m) {
		bk.w.fail("%s, number %d, is trimmed and not committed", m.id, m.seq)
	}
}

// committed holds the database against the book after a commit.
func (bk *book) committed(origins map[piccolo.Origin]*piccolo.Account) {
	db := bk.w.db
	for o := range origins {
		bk.enter(o)
	}
	var numbers, ledger int64
	for _, key := range bk.w.keys {
		t := bk.keys[key]
		total := db.total(key)
		if total.Cmp(t.folded) != 0 {
			bk.w.fail("key %q has a total of %v, and %v has been folded", key, total, t.folded)
		}
		if held := len(db.held[key]); total.IsInt64() && (held > 0 || db.numbers[key] != total.Int64()) {
			bk.w.fail("key %q has the value %d, with %d deltas in quarantine, and could have %v", key, db.numbers[key], held, total)
		}
		if n := len(t.values); n == 0 || t.values[n-1].value != db.numbers[key] {
			t.values = append(t.values, valued{db.commits, db.numbers[key]})
		}
		if low, high := t.bounds(t.applied); !bk.w.restored && (total.Cmp(low) < 0 || total.Cmp(high) > 0) {
			bk.w.fail("key %q has a total of %v, not between %v and %v", key, total, low, high)
		}
		numbers += db.numbers[key]
		for _, v := range db.held[key] {
			numbers += v
		}
	}
	for _, a := range db.ledger {
		ledger += a.sum
	}
	if numbers != ledger {
		bk.w.fail("numbers and quarantine come to %d, the ledger to %d", numbers, ledger)
	}
	if keys := len(db.numbers); keys > len(bk.w.keys) {
		bk.w.fail("the database has %d keys, of %d", keys, len(bk.w.keys))
	}
}

// enter notes which batches of an origin have been folded, and holds its
// account against them.
func (bk *book) enter(o piccolo.Origin) {
	row := bk.w.db.ledger[o]
	a, err := row.read()
	if err != nil {
		bk.w.fail("the account of %v: %v", o, err)
		return
	}
	var want account
	for _, b := range bk.origins[o] {
		if !a.Seqs.Contains(b.id.Seq) {
			continue
		}
		want.batches++
		want.increments += b.increments
		want.sum += b.sum
		if !b.folded {
			b.folded, b.commit = true, bk.w.db.commits
			for key, sum := range b.sums {
				bk.keys[key].folded.Add(bk.keys[key].folded, sum)
			}
		}
	}
	if row.batches != want.batches || row.increments != want.increments || row.sum != want.sum {
		bk.w.fail("the account of %v says %+v, the book %+v", o, row, want)
	}
}

// restored starts over with a database that is older than the last commit.
func (bk *book) restored() {
	for _, t := range bk.keys {
		t.folded.SetInt64(0)
	}
	for _, b := range bk.order {
		was := b.folded
		b.folded = false
		if was && !bk.w.db.folded(b.id) && bk.w.stream.holds(b.id) == 0 {
			b.vanished = true
		}
	}
	for o := range bk.w.db.ledger {
		bk.enter(o)
	}
}
