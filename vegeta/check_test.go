package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piccolo-counter/piccolo"
)

func TestOutcomeOf(t *testing.T) {
	for code, want := range map[uint16]outcome{
		0: unknown, 200: acknowledged, 202: acknowledged, 299: acknowledged,
		301: refused, 400: refused, 404: refused, 503: refused, 504: refused,
	} {
		if got := outcomeOf(code); got != want {
			t.Errorf("status %d: outcome %d, want %d", code, got, want)
		}
	}
}

// What a key's value may have changed by, given what its increments were
// answered with.
func TestAccount(t *testing.T) {
	type reply struct {
		value int64
		code  uint16
	}
	for _, c := range []struct {
		name      string
		replies   []reply
		low, high int64 // the changes that are allowed
	}{
		{"nothing was sent", nil, 0, 0},
		{"acknowledged", []reply{{5, 200}, {-2, 200}, {4, 202}}, 7, 7},
		{"refused", []reply{{5, 503}, {-2, 400}, {9, 307}}, 0, 0},
		{"some of both", []reply{{5, 200}, {5, 503}}, 5, 5},
		{"a positive one unknown", []reply{{5, 200}, {3, 0}}, 5, 8},
		{"a negative one unknown", []reply{{5, 200}, {-3, 0}}, 2, 5},
		{"unknown of either sign", []reply{{-1, 200}, {3, 0}, {4, 0}, {-2, 0}}, -3, 6},
		{"all unknown", []reply{{-10, 0}, {10, 0}}, -10, 10},
		{"zero unknown", []reply{{0, 0}, {1, 200}}, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var increments []piccolo.Increment
			for _, r := range c.replies {
				increments = append(increments, piccolo.Increment{Key: "k", Value: r.value})
			}
			increments = append(increments, piccolo.Increment{Key: "other", Value: 1000})
			tally := newTally(increments)
			for i, r := range c.replies {
				tally.add(i, r.code)
			}
			tally.add(len(c.replies), 200)

			if total := tally.total(); !total.allows(c.low+1000) || !total.allows(c.high+1000) || total.allows(c.low+999) || total.allows(c.high+1001) {
				t.Errorf("the total of all keys is %v, want %d to %d", total, c.low+1000, c.high+1000)
			}
			if c.replies == nil {
				return // a key of no increment has no account
			}
			keys := []string{"k", "other"}
			for change, want := range map[int64]bool{c.low - 1: false, c.low: true, c.high: true, c.high + 1: false} {
				before := map[string]int64{"k": 100, "other": -7}
				after := map[string]int64{"k": 100 + change, "other": 993}
				differ := tally.compare(keys, before, after)
				if got := len(differ) == 0; got != want {
					t.Errorf("a change of %d is allowed: %v, want %v", change, got, want)
				}
				if !want && (len(differ) != 1 || differ[0].key != "k" || differ[0].change != change) {
					t.Errorf("a change of %d gives the differences %v", change, differ)
				}
			}
		})
	}
}

// script is a database in which keys get values as time goes by.
type script struct {
	start  time.Time
	values map[string][]timed // in the order of time
}

type timed struct {
	after time.Duration
	value int64
}

func (s script) Value(_ context.Context, key string) (value int64, ok bool, err error) {
	for _, v := range s.values[key] {
		if time.Since(s.start) >= v.after {
			value, ok = v.value, true
		}
	}
	return value, ok, nil
}

func TestCheck(t *testing.T) {
	const limit = 10 * time.Second
	for _, c := range []struct {
		name  string
		a, b  []timed // 10 and nothing before the attack, which acknowledged 2 and -1
		right bool
	}{
		{"at once", []timed{{0, 12}}, []timed{{0, -1}}, true},
		{"late", []timed{{0, 10}, {limit - pollEvery, 12}}, []timed{{time.Second, -1}}, true},
		{"too late", []timed{{0, 10}, {limit + time.Second, 12}}, []timed{{0, -1}}, false},
		{"never", []timed{{0, 10}}, []timed{{0, -1}}, false},
		{"a key that is not there", []timed{{0, 12}}, nil, false},
		{"too much", []timed{{0, 13}}, []timed{{0, -1}}, false},
		{"twice, a moment later", []timed{{0, 12}, {settle / 2, 14}}, []timed{{0, -1}}, false},
		{"wrong in both, right in sum", []timed{{0, 13}}, []timed{{0, -2}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := script{time.Now(), map[string][]timed{"a": c.a, "b": c.b}}
				tally := newTally([]piccolo.Increment{{Key: "a", Value: 2}, {Key: "b", Value: -1}})
				tally.add(0, 200)
				tally.add(1, 200)
				v, err := check(t.Context(), db, tally, map[string]int64{"a": 10, "b": 0}, limit)
				if err != nil {
					t.Fatal(err)
				}
				if v.right() != c.right {
					t.Errorf("right %v, want %v: %v", v.right(), c.right, v.differ)
				}
				if v.waited > limit+pollEvery {
					t.Errorf("waited %s, want at most %s", v.waited, limit)
				}
			})
		})
	}
}

type broken struct{}

func (broken) Value(context.Context, string) (int64, bool, error) {
	return 0, false, errors.New("malformed")
}

func TestCheckFailsWhenTheDatabaseDoes(t *testing.T) {
	tally := newTally([]piccolo.Increment{{Key: "a", Value: 2}})
	if v, err := check(t.Context(), broken{}, tally, nil, 0); err == nil {
		t.Fatalf("the verdict is %v", v)
	}
}

func TestVerdict(t *testing.T) {
	var increments []piccolo.Increment
	for i := range 1200 {
		increments = append(increments, piccolo.Increment{Key: fmt.Sprintf("key%d", i), Value: 1000})
	}
	tally := newTally(increments)
	for i := range increments[1:] {
		tally.add(i, 200)
	}
	tally.add(1199, 0)

	differing := func(n int) (differ []difference) {
		for i := range n {
			key := increments[i].Key
			differ = append(differ, difference{key, -2345678, *tally.accounts[key]})
		}
		return differ
	}
	for _, c := range []struct {
		name    string
		v       verdict
		right   bool
		want    []string
		without string
	}{
		{
			"right", verdict{tally: tally, change: 1199000}, true,
			[]string{"The math is right.", "1,199 acknowledged, 0 refused, 1 unknown", "1,200 checked, 0 differ", "1,199,000 … 1,200,000 with what is unknown", "1,199,000 in numbers.db"}, "--wait",
		},
		{
			"wrong", verdict{tally: tally, change: 1, differ: differing(10)}, false,
			[]string{"The math is wrong: 10 of 1,200 keys differ.", "key9 ", "-2,345,678", "--wait"}, "more",
		},
		{
			"very wrong", verdict{tally: tally, change: 1, differ: differing(1111)}, false,
			[]string{"1,111 of 1,200 keys differ", "key9 ", "… and 1,101 more"}, "key10 ",
		},
		{
			"another database", verdict{tally: tally, differ: differing(1200)}, false,
			[]string{"nothing changed in numbers.db. Is that the database of the service at http://piccolo?"}, "key10 ",
		},
		{
			"nothing acknowledged", verdict{tally: newTally(increments)}, false,
			[]string{"nothing was acknowledged"}, "right",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := c.v.print(&out, "numbers.db", "http://piccolo"); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing in\n%s", want, &out)
				}
			}
			if strings.Contains(out.String(), c.without) {
				t.Errorf("%q should not be in\n%s", c.without, &out)
			}
			if got := c.v.right(); got != c.right {
				t.Errorf("right %v, want %v", got, c.right)
			}
		})
	}
}
