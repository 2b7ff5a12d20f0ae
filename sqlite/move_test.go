package sqlite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// whole is what must hold of every database, at any time.
const whole = `SELECT (SELECT coalesce(sum(value), 0) FROM numbers) + (SELECT coalesce(sum(value), 0) FROM quarantine)
	= (SELECT coalesce(sum(sum), 0) FROM ledger)`

// filled makes a database with n keys, whose batches came in partition 0 of one,
// and a token.
func filled(t *testing.T, n int) (*sqlite.Store, outsider) {
	t.Helper()
	store, db := openNew(t)
	var deltas []piccolo.Delta
	for i := range n {
		deltas = append(deltas, piccolo.Delta{Key: fmt.Sprintf("key-%04d", i), Value: int64(i - 7)})
	}
	ledger := new(piccolo.Ledger)
	f := foldOf(ledger, batchOf("p", 1, deltas...))
	f.Positions = map[int]piccolo.Position{0: {StreamSeq: 9}}
	if _, err := store.Commit(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if err := store.SetPartitions(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	db.exec(t, `INSERT INTO tokens VALUES (x'00112233445566778899aabbccddeeff', 0, 5, 6)`)
	return store, db
}

// move does all three steps.
func move(t *testing.T, from, to *sqlite.Store, partition, partitions int) (id string) {
	t.Helper()
	id = piccolo.NewProducer()
	if _, err := to.Receive(t.Context(), from, id, partition, partitions); err != nil {
		t.Fatal(err)
	}
	if err := from.Forget(t.Context(), to, id, partition, partitions); err != nil {
		t.Fatal(err)
	}
	moves, err := to.Moves(t.Context())
	if err != nil || !slices.Contains(moves[partition], id) {
		t.Errorf("%s knows of the moves %v, error %v; want %s", to.Path(), moves, err, id)
	}
	return id
}

const anotherMove = "0123456789abcdef"

// A database that grew from one partition to four gives some of them away, and
// gets one back: every key is in one database, with its value, and each database
// adds up at every step.
func TestMove(t *testing.T) {
	const keys = 100
	a, dbA := filled(t, keys)
	b, dbB := openNew(t)
	all := dbA.text(t, "SELECT * FROM numbers ORDER BY key")
	if err := a.SetPartitions(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	dbA.want(t, `SELECT "partition" FROM tokens ORDER BY 1`, "0\n1\n2\n3")
	check := func(step string) {
		t.Helper()
		for name, db := range map[string]outsider{"a": dbA, "b": dbB} {
			if got := db.text(t, whole); got != "1" {
				t.Errorf("%s: database %s does not add up", step, name)
			}
		}
	}
	for _, step := range []struct {
		partition int
		from, to  *sqlite.Store
	}{{1, a, b}, {3, a, b}, {1, b, a}, {1, a, b}, {0, a, b}} {
		id := move(t, step.from, step.to, step.partition, 4)
		if err := step.from.Forget(t.Context(), step.to, id, step.partition, 4); err != nil { // again, as after a crash
			t.Fatal(err)
		}
		if _, err := step.to.Receive(t.Context(), step.from, anotherMove, step.partition, 4); err == nil { // which would empty it
			t.Error("a partition that has moved is received again")
		}
		check(fmt.Sprintf("partition %d to %s", step.partition, step.to.Path()))
	}
	// Partition 2 is left.
	lines := strings.Split(dbA.text(t, "SELECT * FROM numbers ORDER BY key"), "\n")
	for _, line := range lines {
		key, _, _ := strings.Cut(line, "|")
		if piccolo.Partition(piccolo.Hash(key), 4) != 2 {
			t.Errorf("%s was left behind", key)
		}
	}
	dbB.exec(t, fmt.Sprintf("ATTACH '%s' AS a", a.Path()))
	dbB.want(t, "SELECT * FROM (SELECT * FROM numbers UNION ALL SELECT * FROM a.numbers) ORDER BY key", all)
	dbA.want(t, `SELECT "partition" FROM tokens`, "2")
	dbB.want(t, `SELECT "partition" FROM tokens ORDER BY 1`, "0\n1\n3")
	dbB.want(t, `SELECT "partition", stream_seq FROM positions`, "0|9")
	// The batches of the early days are known where partition 0 is.
	for store, want := range map[*sqlite.Store]bool{a: false, b: true} {
		ledger, err := store.Ledger(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := ledger.Folded(piccolo.BatchID{Producer: "p", Seq: 1}); got != want {
			t.Errorf("%s knows the batch: %v, want %v", store.Path(), got, want)
		}
	}
}

// Receive may be cut off and done again, also when the original has gone on
// meanwhile: until the stream is told, the copy counts for nothing.
func TestMoveAgain(t *testing.T) {
	a, dbA := filled(t, 100)
	b, dbB := openNew(t)
	if _, err := b.Receive(t.Context(), a, anotherMove, 0, 1); err != nil {
		t.Fatal(err)
	}
	dbA.want(t, whole, "1")
	dbB.want(t, whole, "1")
	ledger, err := a.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Commit(t.Context(), foldOf(ledger, batchOf("p", 2, piccolo.Delta{Key: "late", Value: 1}))); err != nil {
		t.Fatal(err)
	}
	move(t, a, b, 0, 1)
	dbB.want(t, "SELECT value FROM numbers WHERE key = 'late'", "1")
	dbB.want(t, whole, "1")
	dbA.want(t, "SELECT count(*) FROM numbers", "0")
	dbA.want(t, whole, "1")
}

// A producer may be called as the accounts are that make up for a move: its
// batches go with the partition all the same, and count once.
func TestMoveWhateverTheProducer(t *testing.T) {
	for _, producer := range []string{"gone-fishing", "GONE-away", "gone-0123456789abcdef", "moved-on", "ancestor"} {
		a, dbA := openNew(t)
		b, dbB := openNew(t)
		f := foldOf(new(piccolo.Ledger), batchOf(producer, 1, piccolo.Delta{Key: "k", Value: 7}))
		if _, err := a.Commit(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		for _, way := range [][2]*sqlite.Store{{a, b}, {b, a}, {a, b}} {
			move(t, way[0], way[1], 0, 1)
			dbA.want(t, whole, "1")
			dbB.want(t, whole, "1")
			for i, want := range []bool{false, true} {
				ledger, err := way[i].Ledger(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got := ledger.Folded(piccolo.BatchID{Producer: producer, Seq: 1}); got != want {
					t.Errorf("the batch of %s is known to %s: %v, want %v", producer, way[i].Path(), got, want)
				}
			}
		}
	}
}

// What would be lost is refused.
func TestMoveRefuses(t *testing.T) {
	a, _ := filled(t, 10)
	b, dbB := filled(t, 20)
	if _, err := b.Receive(t.Context(), a, anotherMove, 0, 1); err == nil || !strings.Contains(err.Error(), "holds 20 keys of partition 0, which") {
		t.Errorf("Receive over others: %v", err)
	}
	if err := b.Forget(t.Context(), a, anotherMove, 0, 1); err == nil || !strings.Contains(err.Error(), "has not received") {
		t.Errorf("Forget what was not received: %v", err)
	}
	dbB.want(t, "SELECT count(*) FROM numbers", "20")
}

// A database knows how many partitions there were, and grows to a multiple.
func TestSetPartitions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.db")
	store := open(t, path)
	for _, step := range []struct {
		n  int
		ok bool
	}{{2, true}, {2, true}, {4, true}, {2, false}, {6, false}, {12, true}} {
		if err := store.SetPartitions(t.Context(), step.n); (err == nil) != step.ok {
			t.Errorf("%d partitions: %v", step.n, err)
		}
	}
}
