package ingress

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// distinct returns the keys of b, each once, in the order in which they first
// came; nil where they are more than a page of numbers holds.
func (b *bulk) distinct() []string {
	type place struct {
		key   string
		start uint32
	}
	var places []place
	bytes := 0
	seen := make(map[string]struct{})
	for _, lot := range b.touched {
		for i := range b.lots[lot] {
			item := &b.lots[lot][i]
			if _, again := seen[string(b.key(item))]; again {
				continue
			}
			key := string(b.key(item))
			if bytes += len(key); len(places) == piccolo.MaxPage || bytes > piccolo.MaxPageBytes {
				return nil
			}
			seen[key] = struct{}{}
			places = append(places, place{key, item.start})
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.start, b.start) })
	keys := make([]string, len(places))
	for i := range places {
		keys[i] = places[i].key
	}
	return keys
}

// totals reads the totals of keys once what the receipt names has been committed,
// which is what held says; nil where it has not, where there are no keys, and
// where a writer does not tell in time. They are read rather than put into the
// notice of the commit, which all requests share and which is one message.
func (in *Ingress) totals(deadline time.Time, held piccolo.Ack, keys []string, receipt piccolo.Receipt) []number {
	if held != piccolo.AckApplied || len(keys) == 0 {
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	values, _, refusal := in.values(ctx, &selection{keys: keys, receipt: receipt})
	if refusal != nil {
		return nil // it is committed all the same
	}
	numbers, _ := pick(keys, values)
	return numbers
}
