package ingress_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// shown is a number as a client is told it.
type shown struct {
	Key   string `json:"key"`
	Value int64  `json:"value"`
	Text  string `json:"value_text"`
}

// list is the body of GET /v1/numbers.
type list struct {
	Numbers     []shown  `json:"numbers"`
	Missing     []string `json:"missing"`
	Next        string   `json:"next"`
	More        bool     `json:"more"`
	FreshnessMS *float64 `json:"freshness_ms"`
}

func (d *door) list(query string) (l list) {
	d.t.Helper()
	r := d.read("/v1/numbers" + query)
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); r.status != 200 || err != nil || l.FreshnessMS == nil || l.Numbers == nil {
		d.t.Fatalf("%s: %d %s, %v", query, r.status, r.body, err)
	}
	return l
}

func (l *list) keys() (keys []string) {
	for _, n := range l.Numbers {
		keys = append(keys, n.Key)
	}
	return keys
}

// Many keys are read from the writers of their partitions, and answered in the
// order in which they were asked for.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 3 })
	d.reader.answer = func(_ context.Context, q piccolo.Query) (a piccolo.Answer, _ error) {
		for _, key := range q.Keys {
			if key != "never" {
				a.Numbers = append(a.Numbers, piccolo.Number{Key: key, Value: 1<<63 - 1})
			}
		}
		a.FreshnessMS = float64(len(q.Keys))
		return a, nil
	}
	l := d.list("?key=d&key=a%20b&key=never&key=c&key=b")
	if got := l.keys(); !slices.Equal(got, []string{"d", "a b", "c", "b"}) || !slices.Equal(l.Missing, []string{"never"}) {
		t.Errorf("%q, missing %q", got, l.Missing)
	}
	if l.Numbers[0].Value != 1<<63-1 || l.Numbers[0].Text != "9223372036854775807" {
		t.Errorf("%+v: the value is not exact", l.Numbers[0])
	}
}

// Half an answer is none.
func TestManyKeysOfAWriterThatIsAway(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 3 })
	d.reader.writers = func(_ context.Context, partition int, q piccolo.Query) (piccolo.Answer, error) {
		if partition == 1 {
			return piccolo.Answer{}, errors.New("no writer serves partition 1")
		}
		return piccolo.Answer{}, nil
	}
	for _, target := range []string{"?key=a&key=b&key=c&key=d&key=e&key=f", "?prefix=a", "?order=value"} {
		if p := d.declined(d.read("/v1/numbers"+target), 503); !strings.Contains(p.Detail, "no writer serves partition 1") {
			t.Errorf("%s: %s", target, p.Detail)
		}
	}
}

func TestPageIsRefused(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct{ query, field, detail string }{
		{"limit=0", "limit", `limit is not a number from 1 to 1000: "0"`},
		{"limit=1001", "limit", "from 1 to 1000"},
		{"limit=ten", "limit", "from 1 to 1000"},
		{"limit=1&limit=2", "limit", `is given twice: "1" and "2"`},
		{"order=size", "order", `order is none of key, value: "size"`},
		{"order=value&after=a", "after", "does not go with order=value"},
		{"prefix=%FF", "prefix", "is not valid UTF-8"},
		{"sort=value", "", `parameter "sort" is unknown: want key, prefix, limit, after, order`},
		{"key=a&prefix=b", "prefix", "does not go with key"},
		{"key=a&limit=1", "limit", "does not go with key"},
		{"key=a&key=a", "key", `key is given twice: "a"`},
		{"key=a&key=", "key", "is blank"},
		{"key=a&after=b", "after", `is not a receipt: "b"`},
	} {
		p := d.declined(d.read("/v1/numbers?"+c.query), 400)
		if p.Field != c.field || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s: field %q, detail %q: want %q and %q", c.query, p.Field, p.Detail, c.field, c.detail)
		}
	}
}

// A parameter without a value is none, and one is refused twice all the same.
func TestBlankParameters(t *testing.T) {
	t.Parallel()
	d := open(t)
	var asked piccolo.Page
	d.reader.answer = func(_ context.Context, q piccolo.Query) (piccolo.Answer, error) {
		if q.Page != nil {
			asked = *q.Page
		}
		return piccolo.Answer{Numbers: []piccolo.Number{{Key: "a", Value: 1}}, Partitions: []int{0}}, nil
	}
	for query, want := range map[string]piccolo.Page{
		"?prefix=&limit=&after=&order=":           {Limit: 100},
		"?prefix=&limit=&after=&order=value":      {Limit: 100, ByValue: true},
		"?prefix&limit&after&order":               {Limit: 100},
		"?prefix=user%3A&limit=7&after=&order=":   {Prefix: "user:", Limit: 7},
		"?prefix=&limit=&after=user%3A&order=key": {After: "user:", Limit: 100},
	} {
		d.list(query)
		if asked.Of = 0; asked != want {
			t.Errorf("%s: asked for %+v, want %+v", query, asked, want)
		}
	}
	if l := d.list("?key=a&prefix=&limit=&after=&order="); len(l.Numbers) != 1 {
		t.Errorf("got %+v, want a", l)
	}
	d.declined(d.read("/v1/numbers?limit=&limit=1"), 400)
}

// A key that is longer than may be counted now may be where a page ends.
func TestPageGoesOnBehindALongKey(t *testing.T) {
	t.Parallel()
	d := open(t)
	w := &writers{t: t, owner: []int{0}, numbers: []piccolo.Number{{Key: strings.Repeat("k", 4<<10), Value: 1}, {Key: "l", Value: 2}}}
	d.reader.writers = w.answer
	l := d.list("?limit=1")
	if l = d.list("?limit=1&after=" + l.Next); len(l.Numbers) != 1 || l.Numbers[0].Key != "l" {
		t.Errorf("got %+v, want l", l)
	}
}

// A list by value says when it is shorter than it should be.
func TestListByValueThatIsCutShort(t *testing.T) {
	t.Parallel()
	d := open(t)
	numbers := []piccolo.Number{{Key: "b", Value: 2}, {Key: "a", Value: 1}}
	d.reader.answer = func(context.Context, piccolo.Query) (piccolo.Answer, error) {
		return piccolo.Answer{Numbers: numbers, More: true, Partitions: []int{0}}, nil
	}
	if l := d.list("?order=value&limit=3"); len(l.Numbers) != 2 || !l.More || l.Next != "" {
		t.Errorf("got %+v, want 2 numbers and more", l)
	}
	if l := d.list("?order=value&limit=2"); len(l.Numbers) != 2 || l.More {
		t.Errorf("got %+v, want the 2 that were asked for", l)
	}
}

// writers own some partitions each, and keep the numbers of theirs.
type writers struct {
	t       rapid.TB
	owner   []int // by partition
	numbers []piccolo.Number

	mu    sync.Mutex
	asked []int
}

func (w *writers) answer(_ context.Context, partition int, q piccolo.Query) (a piccolo.Answer, _ error) {
	w.mu.Lock()
	w.asked = append(w.asked, partition)
	w.mu.Unlock()
	for p, owner := range w.owner {
		if owner == w.owner[partition] {
			a.Partitions = append(a.Partitions, p)
		}
	}
	for _, n := range w.numbers {
		mine := slices.Contains(a.Partitions, piccolo.Partition(piccolo.Hash(n.Key), q.Page.Of))
		if mine && strings.HasPrefix(n.Key, q.Page.Prefix) && n.Key > q.Page.After {
			a.Numbers = append(a.Numbers, n)
		}
	}
	slices.SortFunc(a.Numbers, q.Page.Compare)
	if len(a.Numbers) > q.Page.Limit {
		a.Numbers, a.More = a.Numbers[:q.Page.Limit], true
	}
	a.FreshnessMS = float64(w.owner[partition])
	return a, nil
}

// However partitions are spread over writers, pages hold every number with the
// prefix once and in order.
func TestPagesOfSeveralWriters(t *testing.T) {
	t.Parallel()
	const partitions = 4
	d := open(t, func(c *ingress.Config) { c.Partitions = partitions })
	key := rapid.StringOfN(rapid.SampledFrom([]rune("ab%_é")), 1, 3, -1)
	rapid.Check(t, func(t *rapid.T) {
		w := &writers{t: t, owner: rapid.SliceOfN(rapid.IntRange(0, 2), partitions, partitions).Draw(t, "owner")}
		for _, key := range rapid.SliceOfDistinct(key, rapid.ID).Draw(t, "keys") {
			w.numbers = append(w.numbers, piccolo.Number{Key: key, Value: int64(rapid.IntRange(-2, 2).Draw(t, "value"))})
		}
		d.reader.writers = w.answer
		p := piccolo.Page{Prefix: rapid.SampledFrom([]string{"", "a", "%", "é"}).Draw(t, "prefix")}
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		var want []piccolo.Number
		for _, n := range w.numbers {
			if strings.HasPrefix(n.Key, p.Prefix) {
				want = append(want, n)
			}
		}
		slices.SortFunc(want, p.Compare)
		query := url.Values{"prefix": {p.Prefix}, "limit": {string(rune('0' + limit))}}

		var got []piccolo.Number
		for {
			w.asked = nil
			l := d.list("?" + query.Encode())
			for _, n := range l.Numbers {
				got = append(got, piccolo.Number{Key: n.Key, Value: n.Value})
			}
			if len(l.Numbers) > limit {
				t.Fatalf("%d numbers, the limit is %d", len(l.Numbers), limit)
			}
			if l.Next == "" {
				break
			}
			query.Set("after", l.Next)
		}
		if !slices.Equal(got, want) {
			t.Errorf("by key: got %v, want %v", got, want)
		}

		w.asked = nil
		p.ByValue = true
		slices.SortFunc(want, p.Compare)
		want = want[:min(limit, len(want))]
		l := d.list("?order=value&" + url.Values{"prefix": {p.Prefix}, "limit": {string(rune('0' + limit))}}.Encode())
		got = nil
		for _, n := range l.Numbers {
			got = append(got, piccolo.Number{Key: n.Key, Value: n.Value})
		}
		if !slices.Equal(got, want) {
			t.Errorf("by value: got %v, want %v", got, want)
		}
	})
}

// Partitions that have moved to another writer are found there.
func TestPageWhenPartitionsMove(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 4 })
	w := &writers{t: t, owner: []int{0, 0, 1, 1}}
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		w.numbers = append(w.numbers, piccolo.Number{Key: key})
	}
	d.reader.writers = w.answer
	for _, c := range []struct {
		owner []int
		asked int
	}{
		{[]int{0, 0, 1, 1}, 4}, // nothing is known yet
		{[]int{0, 0, 1, 1}, 2},
		{[]int{0, 1, 2, 1}, 3}, // 0 and 2 are asked, and say that they have no more than themselves; 1 is, for itself and 3
		{[]int{0, 1, 2, 1}, 3},
		{[]int{0, 0, 0, 0}, 3},
		{[]int{0, 0, 0, 0}, 1},
	} {
		w.owner, w.asked = c.owner, nil
		l := d.list("")
		if keys := l.keys(); strings.Join(keys, "") != "abcdefg" {
			t.Errorf("owners %v: %q", c.owner, keys)
		}
		if len(w.asked) < c.asked || len(w.asked) > c.asked+1 {
			t.Errorf("owners %v: asked %v, want %d", c.owner, w.asked, c.asked)
		}
	}
}
