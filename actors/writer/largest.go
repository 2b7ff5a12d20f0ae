package writer

import (
	"context"
	"sync"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// largest are the lists of the largest numbers that readers share. An index by
// value would make every upsert dearer; instead, to find the largest is to look
// at every number with the prefix, and what that costs is bounded: one such
// scan at a time, and its list is kept for listRest times as long as it took.
// So scans take a tenth of a core at most, and a list of a small database is as
// good as new.
type largest struct {
	mu       sync.Mutex
	lists    map[string]*list // by prefix
	scanning sync.Mutex
}

// list is the largest numbers with a prefix.
type list struct {
	asked  time.Time     // no earlier than this were they read
	read   chan struct{} // closed when they have been
	until  time.Time     // when they are too old; from here on, once read
	answer piccolo.Answer
	failed error
	of     int // what it was asked with
}

const (
	listRest  = 10
	scanLimit = 30 * time.Second // of one scan, which goes on when those who asked have given up
	maxLists  = 16
)

// find returns the list for a page by value, which is no older than since.
func (l *largest) find(ctx context.Context, w *Writer, p piccolo.Page, since time.Time) (piccolo.Answer, error) {
	found := l.get(w, p, since)
	select {
	case <-found.read:
	case <-ctx.Done():
		return piccolo.Answer{}, ctx.Err()
	}
	if found.failed != nil {
		return piccolo.Answer{}, found.failed
	}
	a := found.answer
	if p.Limit > 0 && p.Limit < len(a.Numbers) {
		a.Numbers, a.More = a.Numbers[:p.Limit:p.Limit], true
	}
	// What was committed since it was asked for may be missing in it.
	a.FreshnessMS += milliseconds(time.Since(found.asked))
	return a, nil
}

// get returns the list for a page, and has it read where there is none.
func (l *largest) get(w *Writer, p piccolo.Page, since time.Time) *list {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if have := l.lists[p.Prefix]; have != nil && have.of == p.Of && !have.asked.Before(since) && have.fresh(now) {
		return have
	}
	if l.lists == nil {
		l.lists = make(map[string]*list)
	}
	for prefix, have := range l.lists {
		if len(l.lists) >= maxLists || !have.fresh(now) {
			delete(l.lists, prefix)
		}
	}
	made := &list{asked: now, read: make(chan struct{}), of: p.Of}
	l.lists[p.Prefix] = made
	p.Limit = piccolo.MaxPage // for whoever asks next
	go func() {
		defer close(made.read)
		l.scanning.Lock()
		defer l.scanning.Unlock()
		ctx, cancel := context.WithTimeout(w.ctx, scanLimit)
		defer cancel()
		start := time.Now()
		made.answer, made.failed = w.page(ctx, &p)
		if made.failed == nil {
			made.until = time.Now().Add(listRest * time.Since(start))
		}
	}()
	return made
}

// fresh says whether the list may be shared: it is still being read, or it was
// a moment ago.
func (l *list) fresh(now time.Time) bool {
	select {
	case <-l.read:
		return now.Before(l.until)
	default:
		return true
	}
}
