package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

// withNumbers makes a database that holds numbers.
func withNumbers(t testing.TB, numbers ...piccolo.Number) *Store {
	t.Helper()
	store, err := Open(t.Context(), filepath.Join(t.TempDir(), "numbers.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	fill(t, store, numbers)
	return store
}

// fill makes numbers the only ones.
func fill(t rapid.TB, store *Store, numbers []piccolo.Number) {
	t.Helper()
	exec := func(query string, args ...any) {
		if _, err := store.conn.ExecContext(context.Background(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("BEGIN")
	exec("DELETE FROM numbers")
	for _, n := range numbers {
		exec("INSERT INTO numbers VALUES (?, ?)", n.Key, n.Value)
	}
	exec("COMMIT")
}

func TestValues(t *testing.T) {
	store := withNumbers(t, piccolo.Number{Key: "b", Value: 1<<63 - 1}, piccolo.Number{Key: "a", Value: -1 << 63}, piccolo.Number{Key: "c"})
	got, err := store.Values(t.Context(), []string{"never", "b", "a"})
	if want := []piccolo.Number{{Key: "a", Value: -1 << 63}, {Key: "b", Value: 1<<63 - 1}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, error %v, want %v", got, err, want)
	}
}

// However pages are cut, together they hold each number with the prefix once, in
// the order that was asked for; and what LIKE takes for wildcards is bytes.
func TestPages(t *testing.T) {
	alphabet := []rune{'a', 'b', '%', '_', '*', '\\', '\'', 'ÿ', 0x10FFFF}
	key := rapid.StringOfN(rapid.SampledFrom(alphabet), 1, 4, -1)
	store := withNumbers(t)
	rapid.Check(t, func(rt *rapid.T) {
		var numbers []piccolo.Number
		for _, key := range rapid.SliceOfDistinct(key, rapid.ID).Draw(rt, "keys") {
			numbers = append(numbers, piccolo.Number{Key: key, Value: int64(rapid.IntRange(-2, 2).Draw(rt, "value"))})
		}
		fill(rt, store, numbers)
		p := piccolo.Page{
			Prefix: rapid.StringOfN(rapid.SampledFrom(alphabet), 0, 2, -1).Draw(rt, "prefix"),
			Limit:  rapid.IntRange(1, 4).Draw(rt, "limit"),
			Of:     rapid.IntRange(1, 3).Draw(rt, "of"),
		}
		owned := []int{0, 2}[:rapid.IntRange(1, 2).Draw(rt, "owned")]
		var want []piccolo.Number
		for _, n := range numbers {
			mine := p.Of == 1 || p.Of <= len(owned) || slices.Contains(owned, piccolo.Partition(piccolo.Hash(n.Key), p.Of))
			if strings.HasPrefix(n.Key, p.Prefix) && mine {
				want = append(want, n)
			}
		}

		slices.SortFunc(want, p.Compare)
		if got := allPages(rt, store, p, owned); !slices.Equal(got, want) {
			rt.Errorf("by key: got %v, want %v", got, want)
		}
		p.ByValue = true
		slices.SortFunc(want, p.Compare)
		got, more, err := store.Page(t.Context(), &p, owned)
		if err != nil || !slices.Equal(got, want[:min(p.Limit, len(want))]) || more != (len(want) > p.Limit) {
			rt.Errorf("by value: got %v, more %v, error %v; want the first %d of %v", got, more, err, p.Limit, want)
		}
	})
}

func allPages(t rapid.TB, store *Store, p piccolo.Page, owned []int) (all []piccolo.Number) {
	for {
		numbers, more, err := store.Page(context.Background(), &p, owned)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, numbers...)
		if !more {
			return all
		}
		p.After = numbers[len(numbers)-1].Key
	}
}

// A page of long keys ends before it would not fit into a message.
func TestPageIsBoundedInBytes(t *testing.T) {
	var numbers []piccolo.Number
	for i := range 600 {
		numbers = append(numbers, piccolo.Number{Key: fmt.Sprintf("%0512d", i)})
	}
	store := withNumbers(t, numbers...)
	got, more, err := store.Page(t.Context(), &piccolo.Page{Limit: 600}, []int{0})
	if err != nil || len(got) != piccolo.MaxPageBytes/512 || !more {
		t.Errorf("%d numbers, more %v, error %v; want %d and more", len(got), more, err, piccolo.MaxPageBytes/512)
	}
	long := withNumbers(t, piccolo.Number{Key: strings.Repeat("k", 2*piccolo.MaxPageBytes)}, piccolo.Number{Key: "l"})
	if got := allPages(t, long, piccolo.Page{Limit: 10}, []int{0}); len(got) != 2 {
		t.Errorf("%d numbers, want both: one that alone is too long too", len(got))
	}
}

// What it costs to read a page of a million numbers. By value it is a scan of
// all that have the prefix.
func BenchmarkPageOfAMillion(b *testing.B) {
	store := withNumbers(b)
	_, err := store.conn.ExecContext(b.Context(), `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 999999)
		INSERT INTO numbers SELECT printf('user:%08d:clicks', i), abs(random()) % 1000000 FROM n`)
	if err != nil {
		b.Fatal(err)
	}
	for name, p := range map[string]piccolo.Page{
		"byKey":        {Limit: 100, After: "user:00500000"},
		"byValue":      {Limit: 100, ByValue: true},
		"byValue10000": {Limit: 100, ByValue: true, Prefix: "user:0001"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := store.Page(b.Context(), &p, []int{0}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
