package ingress

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

const (
	watchWait  = 2 * time.Second        // for which a writer waits for changes, before it says that there are none
	watchRest  = 50 * time.Millisecond  // between two answers, so that a key that changes all the time is told of now and then
	watchAgain = time.Second            // after which a writer that did not answer is asked again
	heartbeat  = 15 * time.Second       // between two signs of life
	watchWrite = 30 * time.Second       // for the client to take what was written, or be given up
	watchBye   = 100 * time.Millisecond // for the same, when the process stops
	maxEventID = 4 << 10                // bytes: what a client sends back in one header
)

// watchers is how many there are.
type watchers struct {
	max int
	now atomic.Int64
}

func (w *watchers) enter() bool {
	if w.now.Add(1) > int64(w.max) {
		w.now.Add(-1)
		return false
	}
	return true
}

func (w *watchers) leave() { w.now.Add(-1) }

// watch serves GET /v1/watch: the totals of some keys, and then each that
// changes, as server-sent events. A client that comes back says with
// Last-Event-ID what it has seen.
func (in *Ingress) watch(ctx *fasthttp.RequestCtx, _, query []byte) {
	var s selection
	refusal := s.parse(query, "key", "prefix")
	if refusal == nil {
		refusal = s.check()
	}
	if _, prefix := s.given["prefix"]; refusal == nil && len(s.keys) == 0 && !prefix {
		refusal = newProblem(400, "say what to watch: key=…, as often as there are keys, or prefix=…, which may be empty for all")
	}
	if refusal == nil && !in.watchers.enter() {
		refusal = newProblem(503, "there are %d watchers, as many as may be", in.MaxWatchers)
		refusal.retryAfter = 5 * time.Second
	}
	if refusal != nil {
		in.fail(ctx, refusal)
		return
	}
	w := &watcher{in: in, selection: &s, conn: ctx.Conn().(*conn).Conn, seen: make(piccolo.Cursors)}
	// What is no cursor is one of nothing: the client gets everything.
	if seen, err := piccolo.ParseCursors(string(ctx.Request.Header.Peek("Last-Event-ID"))); err == nil {
		w.seen = seen
	}
	timeout, cancel := context.WithTimeout(context.Background(), in.AckTimeout)
	defer cancel()
	first, err := w.ask(timeout, 0)
	if err != nil {
		in.watchers.leave()
		in.fail(ctx, in.unreadable(err, ""))
		return
	}
	in.replies.count(fasthttp.StatusOK)
	ctx.SetContentType("text/event-stream")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.Header.Set("X-Accel-Buffering", "no") // nginx would collect events
	ctx.Response.ImmediateHeaderFlush = true
	ctx.SetConnectionClose()                             // its deadlines have been moved behind its back
	_ = ctx.SetWriteDeadline(time.Now().Add(watchWrite)) // and the server sets none for the whole of it
	ctx.SetBodyStreamWriter(func(out *bufio.Writer) {
		defer in.watchers.leave()
		w.out = out
		w.run(first)
	})
}

// watcher is a client that watches. It asks the writers for what has changed
// since it last asked; so nothing is kept for it, and it is nobody's business
// but its own how slow it is.
type watcher struct {
	in        *Ingress
	selection *selection
	conn      net.Conn // beneath what the server holds, whose deadlines are for one goroutine
	out       *bufio.Writer
	seen      piccolo.Cursors
	broken    error // the client is gone
}

// bulletin is what a writer has told a watcher.
type bulletin struct {
	partition int // of the writer
	piccolo.Answer
	err error
}

// ask asks every writer that matters once, and returns one answer of each.
func (w *watcher) ask(ctx context.Context, wait time.Duration) ([]bulletin, error) {
	answers, of, err := w.in.askWriters(ctx, w.selection.keys, w.query(wait))
	if err != nil {
		return nil, err
	}
	var all []bulletin
	logs := make(map[string]bool)
	for i, a := range answers {
		cursors, err := piccolo.ParseCursors(a.Cursor)
		if err != nil {
			return nil, err
		}
		for log := range cursors {
			if !logs[log] {
				logs[log] = true
				all = append(all, bulletin{partition: of[i], Answer: a})
			}
		}
	}
	return all, nil
}

func (w *watcher) query(wait time.Duration) piccolo.Query {
	return piccolo.Query{Changes: &piccolo.Changes{
		Keys: w.selection.keys, Prefix: w.selection.page.Prefix, Since: w.seen.String(), WaitMS: int(wait / time.Millisecond),
	}}
}

// run writes events until the client is gone or the process stops. Where a
// writer has no longer what the client has not seen, or is another one by now,
// it begins again, with everything.
func (w *watcher) run(first []bulletin) {
	life, end := context.WithCancel(context.Background())
	defer end()
	go func() {
		select {
		case <-w.in.bye:
			_ = w.conn.SetWriteDeadline(time.Now().Add(watchBye))
			end()
		case <-life.Done():
		}
	}()
	defer w.listen(end)()
	w.write("retry: 1000\n\n")
	for life.Err() == nil && w.broken == nil {
		if first == nil {
			if first = w.askAgain(life); first == nil {
				return
			}
		}
		if !w.goesOn(first) {
			w.snapshot(life, first)
		} else {
			for _, t := range first {
				w.tell(t)
			}
		}
		w.follow(life, first)
		first = nil
	}
}

// listen ends the watch when the client hangs up, or goes on talking, and returns
// what stops it. Otherwise only a write that fails would tell, and there is none
// as long as nothing changes.
func (w *watcher) listen(end func()) (stop func()) {
	_ = w.conn.SetReadDeadline(time.Time{}) // the request's
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_, _ = io.CopyN(io.Discard, w.conn, maxUnread)
		end()
	}()
	return func() {
		_ = w.conn.SetReadDeadline(time.Now())
		<-stopped
	}
}

// goesOn says whether what the writers tell is all that the client has not seen:
// they have it, and they are those of whom it has seen the rest. A writer owns
// the same partitions as long as its log has the same name.
func (w *watcher) goesOn(first []bulletin) bool {
	logs := make(piccolo.Cursors)
	for _, t := range first {
		if t.Reset {
			return false
		}
		if cursors, err := piccolo.ParseCursors(t.Cursor); err == nil {
			maps.Copy(logs, cursors)
		}
	}
	return len(logs) == len(w.seen) && !slices.ContainsFunc(slices.Collect(maps.Keys(w.seen)), func(log string) bool {
		_, same := logs[log]
		return !same
	})
}

// askAgain asks until there is an answer.
func (w *watcher) askAgain(life context.Context) []bulletin {
	for {
		ctx, cancel := context.WithTimeout(life, w.in.AckTimeout)
		first, err := w.ask(ctx, 0)
		cancel()
		if err == nil {
			return first
		}
		w.comment(err.Error())
		select {
		case <-time.After(watchAgain):
		case <-life.Done():
			return nil
		}
		if w.broken != nil {
			return nil
		}
	}
}

// snapshot writes the numbers as they are. What changes meanwhile is told after
// it, since the cursors are from before it.
func (w *watcher) snapshot(life context.Context, first []bulletin) {
	w.write("event: reset\ndata: {}\n\n")
	w.seen = make(piccolo.Cursors)
	if !w.writeAll(life) {
		return // without an id: the next attempt begins again
	}
	for _, t := range first {
		w.saw(t.Answer)
	}
	w.write("event: live\n" + w.id() + "data: {}\n\n")
}

// writeAll writes all numbers that are watched.
func (w *watcher) writeAll(life context.Context) bool {
	if len(w.selection.keys) > 0 {
		ctx, cancel := context.WithTimeout(life, w.in.AckTimeout)
		defer cancel()
		values, _, refusal := w.in.values(ctx, w.selection)
		if refusal != nil {
			w.comment(refusal.Detail)
			return false
		}
		for _, key := range w.selection.keys {
			if value, ok := values[key]; ok {
				w.event("", piccolo.Number{Key: key, Value: value})
			}
		}
		return true
	}
	p := piccolo.Page{Prefix: w.selection.page.Prefix, Limit: piccolo.MaxPage}
	for w.broken == nil {
		ctx, cancel := context.WithTimeout(life, w.in.AckTimeout)
		merged, err := w.in.readPage(ctx, p)
		cancel()
		if err != nil {
			w.comment(err.Error())
			return false
		}
		for _, n := range merged.Numbers {
			w.event("", n)
		}
		w.flush()
		if !merged.More {
			return true
		}
		p.After = merged.Numbers[len(merged.Numbers)-1].Key
	}
	return false
}

// follow writes what changes, until a writer cannot go on from where it was.
func (w *watcher) follow(life context.Context, writers []bulletin) {
	if len(w.seen) == 0 {
		select { // a snapshot that failed
		case <-time.After(watchAgain):
		case <-life.Done():
		}
		return
	}
	ctx, cancel := context.WithCancel(life)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	news := make(chan bulletin) // nothing is kept: a writer is asked again when the client has what it said
	query := w.query(watchWait) // before the first answer moves what it is made of
	for _, t := range writers {
		asking.Go(func() { w.in.follow(ctx, t, query, news) })
	}
	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	for w.broken == nil {
		select {
		case t := <-news:
			switch {
			case t.err != nil:
				w.comment(t.err.Error())
			case t.Reset:
				w.seen = make(piccolo.Cursors)
				return
			default:
				w.tell(t)
			}
		case <-alive.C:
			w.comment("")
		case <-ctx.Done():
			return
		}
	}
}

// follow asks one writer again and again, from its own cursor on.
func (in *Ingress) follow(ctx context.Context, t bulletin, q piccolo.Query, news chan<- bulletin) {
	changes := *q.Changes
	partitions := t.Partitions
	for {
		changes.Since = t.Cursor
		timeout, cancel := context.WithTimeout(ctx, watchWait+in.AckTimeout)
		a, err := in.Reader.Query(timeout, t.partition, piccolo.Query{Changes: &changes})
		cancel()
		rest := watchRest
		switch {
		case err != nil:
			rest = watchAgain
		case !slices.Equal(a.Partitions, partitions):
			a.Reset = true // somebody else has the rest
		default:
			t.Cursor = a.Cursor
			if a.More {
				rest = 0
			}
		}
		if err != nil || a.Reset || len(a.Numbers)+len(a.Gone) > 0 {
			select {
			case news <- bulletin{t.partition, a, err}:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return
		}
	}
}

// tell writes what a writer has told. The id stands with the last event: who has
// it has them all.
func (w *watcher) tell(t bulletin) {
	w.saw(t.Answer)
	for i, n := range t.Numbers {
		id := ""
		if i == len(t.Numbers)-1 && len(t.Gone) == 0 {
			id = w.id()
		}
		w.event(id, n)
	}
	for i, key := range t.Gone {
		id := ""
		if i == len(t.Gone)-1 {
			id = w.id()
		}
		w.data(id, struct {
			Key     string `json:"key"`
			Deleted bool   `json:"deleted"`
		}{key, true})
	}
	w.flush()
}

// saw moves the cursors of what the client is about to see.
func (w *watcher) saw(a piccolo.Answer) {
	if cursors, err := piccolo.ParseCursors(a.Cursor); err == nil {
		maps.Copy(w.seen, cursors)
	}
}

// id is the line that names what has been seen. One that no header could carry
// is left out, and who comes back without gets everything.
func (w *watcher) id() string {
	if id := w.seen.String(); len(id) <= maxEventID {
		return "id: " + id + "\n"
	}
	return "id\n" // forgets the last
}

func (w *watcher) event(id string, n piccolo.Number) { w.data(id, newNumber(n)) }

func (w *watcher) data(id string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers
	}
	w.put(id + "data: " + string(data) + "\n\n")
}

// comment shows that the stream is alive, and what goes wrong meanwhile.
func (w *watcher) comment(text string) { w.write(": " + text + "\n\n") }

func (w *watcher) write(text string) {
	w.put(text)
	w.flush()
}

func (w *watcher) put(text string) {
	if w.broken == nil {
		_, w.broken = w.out.WriteString(text)
	}
}

// flush sends what was written, for which the client has its time.
func (w *watcher) flush() {
	if w.broken != nil {
		return
	}
	if !w.in.draining.Load() {
		_ = w.conn.SetWriteDeadline(time.Now().Add(watchWrite))
	}
	w.broken = w.out.Flush()
}
