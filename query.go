package piccolo

import "strings"

// Number is a key and its committed total.
type Number struct {
	Key   string `json:"key"`
	Value int64  `json:"value"`
}

// Query asks a writer for numbers: for those of Keys, for a Page, or for those
// that have changed. They are read once the batches of After have been folded.
type Query struct {
	Keys    []string `json:"keys,omitempty"`
	Page    *Page    `json:"page,omitempty"`
	Changes *Changes `json:"changes,omitempty"`
	After   string   `json:"after,omitempty"` // a receipt
}

// Changes asks for the numbers of Keys, or of keys that start with Prefix, that
// have changed since the cursors of Since. Where there are none the writer waits
// for some, WaitMS milliseconds long.
type Changes struct {
	Keys   []string `json:"keys,omitempty"`
	Prefix string   `json:"prefix,omitempty"`
	Since  string   `json:"since,omitempty"`
	WaitMS int      `json:"wait_ms,omitempty"`
}

// Page asks for the numbers whose keys start with Prefix: in the order of their
// keys, byte by byte, from the first above After; or, by value, for the
// largest, and among equals in the order of their keys.
type Page struct {
	Prefix  string `json:"prefix,omitempty"`
	After   string `json:"after,omitempty"`
	ByValue bool   `json:"by_value,omitempty"`
	Limit   int    `json:"limit"`

	// Of is how many partitions there are. The page then holds only keys of
	// partitions that the writer owns: its database may hold others, from when
	// another count of writers shared them. 0 asks for whatever is there.
	Of int `json:"of,omitempty"`
}

// MaxPage is the most numbers that one page holds.
const MaxPage = 1000

// MaxPageBytes is the most that their keys take, in bytes, unless there is only
// one: so that they fit into one message of NATS's default size, however the keys
// are escaped.
const MaxPageBytes = 128 << 10

// Bounds returns where the page's keys lie: from `from` on (above it, where
// open is set), and below `to`, which is "" where nothing bounds them.
func (p *Page) Bounds() (from string, open bool, to string) {
	from, to = p.Prefix, above(p.Prefix)
	if p.After >= from && p.After != "" {
		from, open = p.After, true
	}
	return from, open, to
}

// above returns the least string that is above everything with a prefix, ""
// where there is none.
func above(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if c := prefix[i]; c < 0xFF {
			return prefix[:i] + string([]byte{c + 1})
		}
	}
	return ""
}

// Compare orders two numbers as the page does.
func (p *Page) Compare(a, b Number) int {
	if p.ByValue && a.Value != b.Value {
		if a.Value > b.Value {
			return -1
		}
		return 1
	}
	return strings.Compare(a.Key, b.Key)
}

// Answer is what a writer says to a Query. A key that was never counted is not
// among its numbers. Those of a page are in its order; with More set, the
// writer has others behind them.
//
// Partitions are those that a page or changes cover: all that the writer owns.
//
// Changes are up to Cursor, and Gone are the keys that are no more. With Reset
// set, it is not known what has changed since then: whoever asks has to read
// everything, and goes on from Cursor.
//
// FreshnessMS is how long ago, in milliseconds, the oldest increment was
// accepted that the writer knows of and the numbers may lack; 0 where they lack
// none. A list by value may be shared among readers for a while, and then lacks
// what was committed since.
type Answer struct {
	Numbers     []Number `json:"numbers"`
	More        bool     `json:"more,omitempty"`
	Partitions  []int    `json:"partitions,omitempty"`
	Gone        []string `json:"gone,omitempty"`
	Cursor      string   `json:"cursor,omitempty"`
	Reset       bool     `json:"reset,omitempty"`
	FreshnessMS float64  `json:"freshness_ms"`
}
