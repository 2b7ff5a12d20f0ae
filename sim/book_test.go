package sim_test

import (
	"bytes"
	"math/big"
	"slices"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// book is what the clients know, and what was seen on the way: which batch
// carries what, by what the ingress said when it counted, and how far each has
// got.
type book struct {
	w       *world
	batches map[piccolo.BatchID]*batch
	origins map[piccolo.Origin][]*batch // in the order of their seqs
	order   []*batch
	keys    map[string]*tally
	model   *model
}

// batch is one as it must be.
type batch struct {
	id         piccolo.BatchID
	accepted   time.Time
	increments uint64
	onces      []*part
	effects    map[string]*effect
	data       []byte // as it was first published; nil before

	acked    bool // a PubAck for it has reached an ingress
	vanished bool // the stream lost it
}

// effect is what a batch does to a key, but for its onces.
type effect struct {
	op  piccolo.Op
	sum *big.Int
}

func (e *effect) do(op piccolo.Op, value int64) {
	switch {
	case op != piccolo.OpAdd:
		e.op, e.sum = op, big.NewInt(value)
		return
	case e.op == piccolo.OpRemove:
		e.op = piccolo.OpSet
	}
	e.sum.Add(e.sum, big.NewInt(value))
}

func newBook(w *world) *book {
	b := &book{
		w:       w,
		batches: make(map[piccolo.BatchID]*batch),
		origins: make(map[piccolo.Origin][]*batch),
		keys:    make(map[string]*tally),
		model:   newModel(),
	}
	for _, key := range w.keys {
		b.keys[key] = newTally()
	}
	return b
}

// open returns a batch that an ingress has said it puts something into.
func (bk *book) open(id piccolo.BatchID) *batch {
	b := bk.batches[id]
	if b == nil {
		b = &batch{id: id, accepted: time.Now(), effects: make(map[string]*effect)}
		of := bk.origins[id.Origin()]
		if int(id.Seq) != len(of)+1 {
			bk.w.fail("batch %s is opened after %d", id, len(of))
		}
		bk.batches[id], bk.origins[id.Origin()] = b, append(of, b)
		bk.order = append(bk.order, b)
	}
	if b.data != nil {
		bk.w.fail("something joins batch %s, which is sealed", id)
	}
	return b
}

// counted enters an increment that an ingress has counted.
func (bk *book) counted(id piccolo.BatchID, key string, value int64) *batch {
	b := bk.open(id)
	b.increments++
	b.effect(key).do(piccolo.OpAdd, value)
	bk.keys[key].attempted.add(value)
	return b
}

// replaced enters that an ingress has set or removed a key.
func (bk *book) replaced(id piccolo.BatchID, key string, op piccolo.Op, value int64) *batch {
	b := bk.open(id)
	b.effect(key).do(op, value)
	bk.keys[key].replaced = true
	return b
}

// countedOnce enters a part of a request with an Idempotency-Key.
func (bk *book) countedOnce(id piccolo.BatchID, p *part) *batch {
	b := bk.open(id)
	b.increments += p.increments
	b.onces = append(b.onces, p)
	return b
}

func (b *batch) effect(key string) *effect {
	e := b.effects[key]
	if e == nil {
		e = &effect{sum: new(big.Int)}
		b.effects[key] = e
	}
	return e
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
	if got.BatchID != b.id || got.Increments != b.increments || m.Increments != b.increments || m.Keys != got.Keys() {
		w.fail("batch %s of %d increments is published as %s of %d, as %d deltas for %d",
			b.id, b.increments, got.BatchID, got.Increments, m.Keys, m.Increments)
	}
	if !got.Accepted.Equal(b.accepted.Truncate(time.Microsecond)) {
		w.fail("batch %s was accepted at %s, and says %s", b.id, b.accepted, got.Accepted)
	}
	if len(m.Data) > w.maxMessage {
		w.fail("batch %s has %d bytes, more than %d", b.id, len(m.Data), w.maxMessage)
	}
	b.checkEffects(w, b.effects, got.Deltas)
	if len(got.Onces) != len(b.onces) {
		w.fail("batch %s has %d onces, of %d", b.id, len(got.Onces), len(b.onces))
		return
	}
	for i, o := range got.Onces {
		p := b.onces[i]
		if o.Token != p.order.token() || o.Payload != p.payload || o.Increments != p.increments {
			w.fail("batch %s has %+v as its once %d, and %s was counted", b.id, o, i, p.order.name)
		}
		b.checkEffects(w, p.effects, o.Deltas)
	}
}

func (b *batch) checkEffects(w *world, want map[string]*effect, deltas []piccolo.Delta) {
	got := make(map[string]*effect)
	for _, d := range deltas {
		if piccolo.Partition(piccolo.Hash(d.Key), w.partitions) != b.id.Partition {
			w.fail("batch %s has key %q of another partition", b.id, d.Key)
		}
		if got[d.Key] == nil {
			got[d.Key] = &effect{sum: new(big.Int)}
		}
		got[d.Key].do(d.Op, d.Value)
	}
	if len(got) != len(want) {
		w.fail("batch %s has %d keys, of %d", b.id, len(got), len(want))
	}
	for key, e := range want {
		if g := got[key]; g == nil || g.op != e.op || g.sum.Cmp(e.sum) != 0 {
			w.fail("batch %s has %v for key %q, and it was %v", b.id, g, key, e)
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

// folded says whether a batch is in the database.
func (bk *book) folded(b *batch) bool { return bk.model.folded[b.id] != 0 }

// foldedAt returns the commit that the last of some batches came with, or 0
// where not all are in the database.
func (bk *book) foldedAt(ids piccolo.Receipt) (commit int) {
	for _, id := range ids {
		at := bk.model.folded[id]
		if at == 0 {
			return 0
		}
		commit = max(commit, at)
	}
	return commit
}

// committed holds the database against the book after a commit by f.
func (bk *book) committed(f *folder, origins map[piccolo.Origin]*piccolo.Account) {
	bk.fold(f)
	for o := range origins {
		bk.checkAccount(o)
	}
	db := bk.w.db
	var numbers, ledger int64
	for _, key := range bk.w.keys {
		bk.checkKey(key)
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
	bk.checkTokens()
	bk.checkOrder()
}

// fold has the model do what f has been given, in that order, and has folded.
func (bk *book) fold(f *folder) {
	f.handed = slices.DeleteFunc(f.handed, func(m *message) bool {
		again := m.junk || bk.model.folded[m.id] != 0
		if !again && !bk.w.db.folded(m.id) {
			return false
		}
		bk.model.saw(m)
		if !again {
			bk.model.fold(bk.batches[m.id], m.stored, bk.w.tokenTTL, bk.w.db.commits)
		}
		return true
	})
}

func (bk *book) checkKey(key string) {
	db, t := bk.w.db, bk.keys[key]
	want, there := bk.model.total(key)
	total := db.total(key)
	value, has := db.numbers[key]
	if total.Cmp(want) != 0 || has != there {
		bk.w.fail("key %q has a total of %v, is there: %v; by what has been folded it is %v, %v", key, total, has, want, there)
	}
	if held := len(db.held[key]); total.IsInt64() && (held > 0 || value != total.Int64()) {
		bk.w.fail("key %q has the value %d, with %d deltas in quarantine, and could have %v", key, value, held, total)
	}
	if n := len(t.values); n == 0 || t.values[n-1].value != value || t.values[n-1].there != has {
		t.values = append(t.values, valued{db.commits, value, has})
	}
	if low, high := t.bounds(t.applied); !t.replaced && !bk.w.restored && (total.Cmp(low) < 0 || total.Cmp(high) > 0) {
		bk.w.fail("key %q has a total of %v, not between %v and %v", key, total, low, high)
	}
}

// checkAccount holds the account of an origin against what has been folded.
func (bk *book) checkAccount(o piccolo.Origin) {
	row := bk.w.db.ledger[o]
	if _, err := row.read(); err != nil {
		bk.w.fail("the account of %v: %v", o, err)
	}
	want := bk.model.account(o)
	if row.batches != want.batches || row.increments != want.increments || row.sum != want.sum || row.skipped != want.skipped {
		bk.w.fail("the account of %v says %+v, the book %+v", o, row, want)
	}
}

// checkTokens : the database has the tokens that have been counted and have not
// expired.
func (bk *book) checkTokens() {
	have := bk.w.db.tokens
	for at, s := range bk.model.tokens {
		if t, ok := have[at]; bk.model.fresh(at, s) && (!ok || t.Payload != s.part.payload || !t.Expires.Equal(s.expires)) {
			bk.w.fail("%s was counted in partition %d, until %s, and the database has %+v", s.part.order.name, at.partition, s.expires, t)
		}
	}
	for at, t := range have {
		if _, ok := bk.model.tokens[at]; !ok {
			bk.w.fail("token %x of partition %d has not been counted, and the database has %+v", at.token, at.partition, t)
		}
	}
}

// checkOrder : as long as the stream is what it was, what has been folded is
// all of it up to the position.
func (bk *book) checkOrder() {
	w := bk.w
	if !w.ordered || w.disturbed() {
		return
	}
	for _, m := range w.stream.messages {
		if m.seq <= w.db.positions[m.id.Partition].StreamSeq && !w.db.kept(m) {
			w.fail("%s, number %d, is not folded, and partition %d is at %d", m.id, m.seq, m.id.Partition, w.db.positions[m.id.Partition].StreamSeq)
		}
	}
}

// restored starts over with a database that is older than the last commit.
func (bk *book) restored(before *model) {
	was := bk.model
	bk.model = before
	for _, b := range bk.order {
		if was.folded[b.id] != 0 && !bk.folded(b) && bk.w.stream.holds(b.id) == 0 {
			b.vanished = true
		}
	}
}
