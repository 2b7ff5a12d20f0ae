package admin

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piccolo-counter/piccolo"
)

const (
	hotKeys      = 256              // that are kept count of
	hotRows      = 2048             // of a commit that are looked at
	hotHalf      = 10 * time.Second // after which what moved counts half
	reportedKeys = 20
)

// hottest finds the keys whose values move most: a space-saving sketch, fed once
// a commit with its deltas. A key's count is by how much it moved, up and down
// alike, and fades, so that what was hot a minute ago is not hot now.
//
// A key that comes into a full sketch takes the place, and the count, of the
// coldest: counts are too high by that at most, and a key that moves more than
// one part in hotKeys of all is never missed. The count taken over is left out
// of what is reported.
type hottest struct {
	mu    sync.Mutex
	of    map[string]*hot
	heap  []*hot    // coldest first
	since time.Time // as of when counts have faded
}

type hot struct {
	key         string
	at          int     // where in heap
	count, over float64 // over is what was taken over
}

// add counts deltas. Of a commit with very many it looks at some, evenly, each
// for those it skips.
func (h *hottest) add(deltas []piccolo.Delta) {
	if len(deltas) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fade(time.Now())
	step := (len(deltas) + hotRows - 1) / hotRows
	for from := 0; from < len(deltas); from += step {
		i := from + rand.IntN(step)
		if i >= len(deltas) {
			break
		}
		if deltas[i].Op != piccolo.OpAdd {
			continue // by how much it moved is not known here
		}
		if moved := math.Abs(float64(deltas[i].Value)) * float64(step); moved > 0 {
			h.count(deltas[i].Key, moved)
		}
	}
}

func (h *hottest) count(key string, moved float64) {
	if h.of == nil {
		h.of = make(map[string]*hot, hotKeys)
	}
	k, ok := h.of[key]
	switch {
	case ok:
		k.count += moved
	case len(h.heap) < hotKeys:
		k = &hot{key: strings.Clone(key), at: len(h.heap), count: moved} // key aliases the message
		h.heap = append(h.heap, k)
		h.of[k.key] = k
		h.up(k.at)
		return
	default:
		k = h.heap[0]
		delete(h.of, k.key)
		k.key, k.over = strings.Clone(key), k.count
		k.count += moved
		h.of[k.key] = k
	}
	h.down(k.at)
}

func (h *hottest) up(i int) {
	for i > 0 && h.heap[i].count < h.heap[(i-1)/2].count {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *hottest) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.heap); child++ {
			if h.heap[child].count < h.heap[least].count {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

func (h *hottest) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].at, h.heap[j].at = i, j
}

// fade takes from all counts what time takes, which leaves their order. It does
// so in steps of a quarter of a second.
func (h *hottest) fade(now time.Time) {
	if h.since.IsZero() {
		h.since = now
	}
	passed := now.Sub(h.since)
	if passed < hotHalf/40 {
		return
	}
	h.since = now
	left := math.Exp2(-passed.Seconds() / hotHalf.Seconds())
	for _, k := range h.heap {
		k.count *= left
		k.over *= left
	}
}

// top returns the hottest keys, hottest first, with by how much each moves a
// second, as of late.
func (h *hottest) top(now time.Time, n int) []piccolo.Hot {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fade(now)
	// What fades by half every hotHalf and gets r a second comes to this many
	// times r.
	level := hotHalf.Seconds() / math.Ln2
	var all []piccolo.Hot
	for _, k := range h.heap {
		if moved := (k.count - k.over) / level; moved >= 0.01 {
			all = append(all, piccolo.Hot{Key: k.key, Moved: moved})
		}
	}
	slices.SortFunc(all, func(a, b piccolo.Hot) int {
		return cmp.Or(cmp.Compare(b.Moved, a.Moved), strings.Compare(a.Key, b.Key))
	})
	return all[:min(n, len(all))]
}
