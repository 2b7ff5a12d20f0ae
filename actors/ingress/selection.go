package ingress

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/piccolo-counter/piccolo"
)

// selection is which numbers a reader asks for, in a query string: some keys,
// or those with a prefix.
type selection struct {
	keys    []string
	receipt piccolo.Receipt // that the values of the keys wait for
	page    piccolo.Page

	given map[string]string // the parameters that came, but for key
}

// defaultPage is how many numbers a page holds when nobody says.
const defaultPage = 100

// parse reads a query string that may have these parameters.
func (s *selection) parse(query []byte, known ...string) *problem {
	s.given = make(map[string]string)
	for field := range bytes.SplitSeq(query, []byte{'&'}) {
		if len(field) == 0 {
			continue
		}
		rawName, rawValue, _ := bytes.Cut(field, []byte{'='})
		name, refusal := unescape("a parameter's name", rawName, ' ')
		if refusal != nil {
			return refusal
		}
		if !slices.Contains(known, string(name)) {
			return newProblem(400, "parameter %s is unknown: want %s", quote(name), strings.Join(known, ", "))
		}
		value, refusal := unescape(string(name), rawValue, ' ')
		if refusal != nil {
			return refusal
		}
		if string(name) == "key" {
			s.keys = append(s.keys, string(value))
			continue
		}
		if have, twice := s.given[string(name)]; twice {
			return bad(string(name), "is given twice: %s and %s", quote([]byte(have)), quote(value))
		}
		s.given[string(name)] = string(value)
	}
	return nil
}

// check makes sense of what came. A parameter without a value is none: a client
// may write all of them, and leave blank what it does not need. How long a key
// may be is no matter here: one that is longer than may be counted now may be in
// the database, and then is read, and what a page ends with.
func (s *selection) check() *problem {
	if len(s.keys) > 0 {
		return s.checkKeys()
	}
	prefix, after, limit, order := s.given["prefix"], s.given["after"], s.given["limit"], s.given["order"]
	s.page = piccolo.Page{Prefix: prefix, After: after, Limit: defaultPage, ByValue: order == "value"}
	if limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > piccolo.MaxPage {
			return bad("limit", "is not a number from 1 to %d: %s", piccolo.MaxPage, quote([]byte(limit)))
		}
		s.page.Limit = n
	}
	if order != "" && order != "key" && order != "value" {
		return bad("order", "is none of key, value: %s", quote([]byte(order)))
	}
	if after != "" && s.page.ByValue {
		return bad("after", "does not go with order=value: a list by value has no second page, its limit is %d", piccolo.MaxPage)
	}
	for name, text := range map[string]string{"prefix": prefix, "after": after} {
		if !utf8.ValidString(text) {
			return bad(name, "is not valid UTF-8: %s", quote([]byte(text)))
		}
	}
	return nil
}

// checkKeys makes sense of a list of keys, with which only a receipt goes.
func (s *selection) checkKeys() *problem {
	for _, name := range []string{"prefix", "limit", "order"} {
		if s.given[name] != "" {
			return bad(name, "does not go with key: ask for keys by name, or for a page")
		}
	}
	seen := make(map[string]bool)
	for _, key := range s.keys {
		if err := piccolo.CheckKey(key, math.MaxInt); err != nil {
			return bad("key", "%v: %s", err, quote([]byte(key)))
		}
		if seen[key] {
			return bad("key", "is given twice: %s", quote([]byte(key)))
		}
		seen[key] = true
	}
	if len(s.keys) > piccolo.MaxPage {
		return bad("key", "is given %d times, the limit is %d", len(s.keys), piccolo.MaxPage)
	}
	after := s.given["after"]
	if after == "" {
		return nil
	}
	receipt, err := piccolo.ParseReceipt(after)
	if err != nil {
		return bad("after", "is not a receipt: %s", quote([]byte(after)))
	}
	s.receipt = receipt
	return nil
}
