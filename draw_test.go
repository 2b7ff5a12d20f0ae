package piccolo_test

import (
	"maps"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// What the properties draw from. Numbers crowd at the ends of their ranges.

func values() *rapid.Generator[int64] {
	return rapid.OneOf(
		rapid.Int64(),
		rapid.Int64Range(math.MinInt64, math.MinInt64+2),
		rapid.Int64Range(math.MaxInt64-2, math.MaxInt64),
		rapid.Int64Range(-2, 2),
	)
}

func seqs() *rapid.Generator[uint64] {
	return rapid.OneOf(
		rapid.Uint64Range(1, 100),
		rapid.Uint64Range(1, piccolo.MaxSeq),
		rapid.Just[uint64](piccolo.MaxSeq),
	)
}

func partitions() *rapid.Generator[int] { return rapid.IntRange(0, piccolo.MaxPartitions-1) }

func producers() *rapid.Generator[string] { return rapid.StringMatching(`[0-9A-Za-z_-]{1,64}`) }

func keys() *rapid.Generator[string] { return rapid.StringMatching(`[^\x00]{1,40}`) }

func ids() *rapid.Generator[piccolo.BatchID] {
	return rapid.Custom(func(t *rapid.T) piccolo.BatchID {
		return piccolo.BatchID{
			Producer:  producers().Draw(t, "producer"),
			Partition: partitions().Draw(t, "partition"),
			Seq:       seqs().Draw(t, "seq"),
		}
	})
}

func deltas() *rapid.Generator[piccolo.Delta] {
	return rapid.Custom(func(t *rapid.T) piccolo.Delta {
		d := piccolo.Delta{
			Key:       keys().Draw(t, "key"),
			Value:     values().Draw(t, "value"),
			Op:        piccolo.Op(rapid.IntRange(int(piccolo.OpAdd), int(piccolo.OpRemove)).Draw(t, "op")),
			WantTotal: rapid.Bool().Draw(t, "want total"),
		}
		if d.Op == piccolo.OpRemove {
			d.Value = 0
		}
		return d
	})
}

func claims() *rapid.Generator[piccolo.Claim] {
	return rapid.Custom(func(t *rapid.T) piccolo.Claim {
		return piccolo.Claim{
			Token:   piccolo.Token(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "token")),
			Payload: rapid.Uint64().Draw(t, "payload"),
		}
	})
}

func onces() *rapid.Generator[piccolo.Once] {
	return rapid.Custom(func(t *rapid.T) piccolo.Once {
		o := piccolo.Once{
			Claim:      claims().Draw(t, "claim"),
			Increments: rapid.Uint64().Draw(t, "increments"),
			Deltas:     rapid.SliceOfN(deltas(), 0, 3).Draw(t, "deltas"),
		}
		for i := range o.Deltas {
			o.Deltas[i].Op = piccolo.OpAdd
		}
		return o
	})
}

func batches() *rapid.Generator[piccolo.Batch] {
	return rapid.Custom(func(t *rapid.T) piccolo.Batch {
		b := piccolo.Batch{
			BatchID:    ids().Draw(t, "id"),
			Increments: rapid.Uint64().Draw(t, "increments"),
			Onces:      rapid.SliceOfN(onces(), 0, 4).Draw(t, "onces"),
			Deltas:     rapid.SliceOfN(deltas(), 0, 10).Draw(t, "deltas"),
		}
		if rapid.Bool().Draw(t, "says when") {
			b.Accepted = time.UnixMicro(rapid.Int64Range(1, math.MaxInt64).Draw(t, "accepted"))
		}
		return b
	})
}

func notices() *rapid.Generator[piccolo.Applied] {
	return rapid.Custom(func(t *rapid.T) piccolo.Applied {
		return piccolo.Applied{
			Partition: partitions().Draw(t, "partition"),
			Seqs:      rapid.SliceOfN(seqs(), 0, 10).Draw(t, "seqs"),
			Totals:    rapid.MapOfN(keys(), values(), 0, 10).Draw(t, "totals"),
			Conflicts: rapid.SliceOfN(claims(), 0, 3).Draw(t, "conflicts"),
		}
	})
}

func sameBatch(t rapid.TB, got, want piccolo.Batch) {
	t.Helper()
	if got.BatchID != want.BatchID || got.Increments != want.Increments || !got.Accepted.Equal(want.Accepted) ||
		!slices.EqualFunc(got.Onces, want.Onces, sameOnce) || !slices.Equal(got.Deltas, want.Deltas) {
		t.Fatalf("got the batch %v, %d increments, accepted %v, onces %+v, deltas %+v\nwant %v, %d increments, accepted %v, onces %+v, deltas %+v",
			got.BatchID, got.Increments, got.Accepted, got.Onces, got.Deltas, want.BatchID, want.Increments, want.Accepted, want.Onces, want.Deltas)
	}
}

func sameOnce(a, b piccolo.Once) bool {
	return a.Claim == b.Claim && a.Increments == b.Increments && slices.Equal(a.Deltas, b.Deltas)
}

func sameApplied(t rapid.TB, got, want piccolo.Applied) {
	t.Helper()
	if got.Producer != want.Producer || got.Partition != want.Partition ||
		!slices.Equal(got.Seqs, want.Seqs) || !maps.Equal(got.Totals, want.Totals) || !slices.Equal(got.Conflicts, want.Conflicts) {
		t.Fatalf("got the notice\n%+v, want\n%+v", got, want)
	}
}
