package sqlite_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

var noon = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

// spent makes n tokens of a partition, with different payloads.
func spent(partition, n int, expires time.Time) (list []piccolo.Spent) {
	for i := range n {
		claim := piccolo.Claim{Token: piccolo.NewToken(fmt.Sprint(partition, i, expires)), Payload: math.MaxUint64 - uint64(i)}
		list = append(list, piccolo.Spent{Claim: claim, Partition: partition, Expires: expires})
	}
	return list
}

func commitFold(t *testing.T, store *sqlite.Store, fold *piccolo.Fold) piccolo.Folded {
	t.Helper()
	folded, err := store.Commit(t.Context(), fold)
	if err != nil {
		t.Fatal(err)
	}
	return folded
}

func wantSpent(t *testing.T, store *sqlite.Store, partition int, ask []piccolo.Spent, want ...piccolo.Spent) {
	t.Helper()
	var tokens []piccolo.Token
	for _, s := range ask {
		tokens = append(tokens, s.Token)
	}
	got, err := store.Spent(t.Context(), partition, tokens)
	if err != nil {
		t.Fatal(err)
	}
	same := func(a, b piccolo.Spent) bool {
		return a.Claim == b.Claim && a.Partition == b.Partition && a.Expires.Equal(b.Expires)
	}
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("partition %d: got %v, want %v", partition, got, want)
	}
}

// A token counts in each partition by itself, and what it stands for is what
// was committed last.
func TestTokensAreKept(t *testing.T) {
	store, db := openNew(t)
	three := spent(0, 3, noon)
	commitFold(t, store, &piccolo.Fold{Tokens: three[:2]})
	wantSpent(t, store, 0, three, three[:2]...)
	wantSpent(t, store, 1, three)

	again := three[1]
	again.Payload, again.Expires = 7, noon.Add(time.Hour)
	commitFold(t, store, &piccolo.Fold{Tokens: []piccolo.Spent{again}})
	wantSpent(t, store, 0, three, three[0], again)
	db.want(t, "SELECT count(*) FROM tokens", "2")
}

// However many tokens have expired, no transaction removes more than a few, and
// all of them go, though new ones come. Those of a partition go by its own
// clock.
func TestTokensExpireInSmallSteps(t *testing.T) {
	store, db := openNew(t)
	const old = 10 * sqlite.ExpireChunk
	commitFold(t, store, &piccolo.Fold{Tokens: spent(0, old, noon)})
	commitFold(t, store, &piccolo.Fold{Tokens: spent(1, 5, noon)})
	count := func() (n int) {
		fmt.Sscan(db.text(t, `SELECT count(*) FROM tokens WHERE "partition" = 0`), &n)
		return n
	}
	clock := func(at time.Time, tokens ...piccolo.Spent) {
		commitFold(t, store, &piccolo.Fold{Tokens: tokens, Expired: map[int]time.Time{0: at}})
	}
	clock(noon.Add(-time.Microsecond))
	if n := count(); n != old {
		t.Fatalf("%d tokens are left before they expire, want %d", n, old)
	}
	for step, before := 0, old; before > 0; step++ {
		if step > old {
			t.Fatalf("%d tokens are left for ever", before)
		}
		// Each brings one that expires in an hour.
		clock(noon, piccolo.Spent{Claim: piccolo.Claim{Token: piccolo.NewToken(fmt.Sprint("new", step))}, Expires: noon.Add(time.Hour)})
		left := count() - (step + 1)
		if gone := before - left; gone > sqlite.ExpireChunk+2 || gone <= 0 {
			t.Fatalf("a transaction removed %d tokens of %d, want some, and at most %d", gone, before, sqlite.ExpireChunk+2)
		}
		before = left
	}
	db.want(t, `SELECT count(*) FROM tokens WHERE "partition" = 1`, "5")
	for range 3 {
		clock(noon.Add(time.Hour))
	}
	if n := count(); n != 0 {
		t.Errorf("%d tokens are left, want none", n)
	}
}

// A transaction that fails has removed nothing, and what it would have is
// removed by the next.
func TestTokensExpireAfterAFailure(t *testing.T) {
	store, db := openNew(t)
	tokens := spent(0, 3, noon)
	commitFold(t, store, &piccolo.Fold{Tokens: tokens})
	expiring := &piccolo.Fold{Expired: map[int]time.Time{0: noon}, Wanted: []string{"k"}, Rejected: nil}
	failing := *expiring
	failing.Tokens = []piccolo.Spent{{Claim: piccolo.Claim{Token: piccolo.NewToken("the one that fails")}, Partition: 1, Expires: noon}}
	failing.Expired = map[int]time.Time{0: noon, 1: noon}
	db.exec(t, `CREATE TRIGGER fail BEFORE DELETE ON tokens WHEN OLD."partition" = 1 BEGIN SELECT raise(ABORT, 'made to fail'); END`)
	for range 8 { // in whichever order the partitions come
		if _, err := store.Commit(t.Context(), &failing); err == nil {
			t.Fatal("the commit did not fail")
		}
		wantSpent(t, store, 0, tokens, tokens...)
	}
	db.exec(t, "DROP TRIGGER fail")
	commitFold(t, store, expiring)
	wantSpent(t, store, 0, tokens)
}
