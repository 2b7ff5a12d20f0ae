package ingress_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// log is a writer whose numbers change, and who tells.
type log struct {
	mu         sync.Mutex
	name       string
	numbers    map[string]int64
	changed    []string
	more       chan struct{}
	away       error
	partitions []int
}

func newLog(name string) *log {
	return &log{name: name, numbers: make(map[string]int64), more: make(chan struct{}), partitions: []int{0}}
}

func (l *log) add(key string, value int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.numbers[key] += value
	l.changed = append(l.changed, key)
	close(l.more)
	l.more = make(chan struct{})
}

func (l *log) remove(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.numbers, key)
	l.changed = append(l.changed, key)
	close(l.more)
	l.more = make(chan struct{})
}

// restart makes it another writer, which has changed a key before anybody can
// ask it.
func (l *log) restart(name, key string, value int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.numbers[key] += value
	l.name, l.changed = name, []string{key}
	close(l.more)
	l.more = make(chan struct{})
}

func (l *log) fails(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = err
}

func (l *log) answer(ctx context.Context, q piccolo.Query) (a piccolo.Answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away != nil {
		return a, l.away
	}
	a.Partitions = l.partitions
	switch {
	case q.Page != nil:
		for key, value := range l.numbers {
			if strings.HasPrefix(key, q.Page.Prefix) && key > q.Page.After {
				a.Numbers = append(a.Numbers, piccolo.Number{Key: key, Value: value})
			}
		}
		slices.SortFunc(a.Numbers, q.Page.Compare)
		return a, nil
	case q.Changes == nil:
		for _, key := range q.Keys {
			if value, ok := l.numbers[key]; ok {
				a.Numbers = append(a.Numbers, piccolo.Number{Key: key, Value: value})
			}
		}
		return a, nil
	}
	since, err := piccolo.ParseCursors(q.Changes.Since)
	if err != nil {
		return a, err
	}
	timer := time.NewTimer(time.Duration(q.Changes.WaitMS) * time.Millisecond)
	defer timer.Stop()
	for {
		seen, known := since[l.name]
		a.Cursor = piccolo.Cursors{l.name: uint64(len(l.changed))}.String()
		if !known {
			a.Reset = true
			return a, nil
		}
		for _, key := range l.changed[seen:] {
			mine := slices.Contains(q.Changes.Keys, key) || len(q.Changes.Keys) == 0 && strings.HasPrefix(key, q.Changes.Prefix)
			if value, ok := l.numbers[key]; mine && ok {
				a.Numbers = append(a.Numbers, piccolo.Number{Key: key, Value: value})
			} else if mine {
				a.Gone = append(a.Gone, key)
			}
		}
		if len(a.Numbers)+len(a.Gone) > 0 {
			return a, nil
		}
		more := l.more
		l.mu.Unlock()
		var over bool
		select {
		case <-more:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			over = true
		}
		l.mu.Lock()
		if over {
			return a, nil
		}
	}
}

// event is a server-sent event.
type event struct{ id, name, data string }

// events is an open watch.
type events struct {
	t    *testing.T
	res  *http.Response
	scan *bufio.Scanner
}

func (d *door) watch(query, lastID string) *events {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	d.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.addr+"/v1/watch?"+query, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := d.client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		d.t.Fatalf("%s, Content-Type %q", res.Status, res.Header.Get("Content-Type"))
	}
	d.t.Cleanup(func() { _ = res.Body.Close() })
	return &events{d.t, res, bufio.NewScanner(res.Body)}
}

// next reads the next event, past comments.
func (e *events) next() (ev event) {
	e.t.Helper()
	for e.scan.Scan() {
		field, value, _ := strings.Cut(e.scan.Text(), ": ")
		switch {
		case field == "id":
			ev.id = value
		case field == "event":
			ev.name = value
		case field == "data":
			ev.data = value
		case e.scan.Text() == "" && ev.data != "":
			return ev
		}
	}
	e.t.Fatalf("the stream ended: %v", e.scan.Err())
	return ev
}

// want reads events, of which the last is the one that is wanted, and returns
// it: a key may be told of more than once.
func (e *events) want(data string) event {
	e.t.Helper()
	for {
		if ev := e.next(); ev.data == data {
			return ev
		}
	}
}

// snapshot reads a reset, the numbers and live.
func (e *events) snapshot() (id string, data []string) {
	e.t.Helper()
	if ev := e.next(); ev.name != "reset" || ev.id != "" {
		e.t.Fatalf("got %+v, want a reset", ev)
	}
	for {
		switch ev := e.next(); ev.name {
		case "live":
			return ev.id, data
		default:
			if ev.id != "" {
				e.t.Errorf("%+v: an id before all has been told", ev)
			}
			data = append(data, ev.data)
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	d, l := open(t), newLog("l")
	d.reader.answer = l.answer
	l.add("foo", 1)
	l.add("bar", 2)
	w := d.watch("prefix=", "")
	id, all := w.snapshot()
	if want := []string{`{"key":"bar","value":2,"value_text":"2"}`, `{"key":"foo","value":1,"value_text":"1"}`}; !slices.Equal(all, want) || id != "l.2" {
		t.Fatalf("%q with id %q: want %q and l.2", all, id, want)
	}
	l.add("foo", 9)
	if ev := w.next(); ev.data != `{"key":"foo","value":10,"value_text":"10"}` || ev.id != "l.3" || ev.name != "" {
		t.Errorf("%+v: want foo as 10, with id l.3", ev)
	}
	one := d.watch("key=bar&key=never", "")
	if _, all := one.snapshot(); len(all) != 1 {
		t.Errorf("%q: want bar", all)
	}
	l.add("foo", 1)
	l.add("never", 1)
	if ev := one.next(); ev.data != `{"key":"never","value":1,"value_text":"1"}` {
		t.Errorf("%+v: want never", ev)
	}
}

// A key that was removed is told of as such, also to who was away.
func TestWatchOfRemovedKeys(t *testing.T) {
	t.Parallel()
	d, l := open(t), newLog("l")
	d.reader.answer = l.answer
	l.add("foo", 1)
	l.add("bar", 2)
	w := d.watch("prefix=", "")
	before, _ := w.snapshot()
	l.remove("foo")
	if ev := w.next(); ev != (event{id: "l.3", data: `{"key":"foo","deleted":true}`}) {
		t.Errorf("%+v: want that foo was removed, with id l.3", ev)
	}
	if ev := d.watch("key=foo", before).next(); ev != (event{id: "l.3", data: `{"key":"foo","deleted":true}`}) {
		t.Errorf("resumed: %+v, want that foo was removed, with id l.3", ev)
	}
	l.add("foo", 5)
	if ev := w.next(); ev.data != `{"key":"foo","value":5,"value_text":"5"}` {
		t.Errorf("%+v: want foo as 5", ev)
	}
}

// heard counts the signs of life that the server writes.
type heard struct {
	net.Listener
	beats atomic.Int64
}

func (h *heard) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	return &heardConn{c, h}, err
}

type heardConn struct {
	net.Conn
	by *heard
}

func (c *heardConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(": \n\n")) {
		c.by.beats.Add(1)
	}
	return c.Conn.Write(b)
}

// Who leaves makes room for another, before a sign of life finds nobody.
func TestWatcherLeaves(t *testing.T) {
	t.Parallel()
	var h *heard
	d := open(t, func(c *ingress.Config) {
		h = &heard{Listener: c.Listener}
		c.Listener, c.MaxWatchers = h, 1
	})
	l := newLog("l")
	d.reader.answer = l.answer
	w := d.watch("prefix=", "")
	w.snapshot()
	d.declined(d.read("/v1/watch?prefix="), 503)
	_ = w.res.Body.Close() // which hangs up
	d.until("there is room for another", func() bool {
		res, err := d.client.Get("http://" + d.addr + "/v1/watch?prefix=")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode == 200
	})
	if n := h.beats.Load(); n > 0 {
		t.Errorf("it took %d signs of life to notice", n)
	}
}

// Who comes back is told what has changed meanwhile and no more; where that is
// not known any more, everything.
func TestWatchIsResumed(t *testing.T) {
	t.Parallel()
	d, l := open(t, func(c *ingress.Config) { c.MaxWatchers = 100 }), newLog("l")
	d.reader.answer = l.answer
	l.add("foo", 1)
	l.add("bar", 2)
	w := d.watch("prefix=", "")
	id, _ := w.snapshot()
	_ = w.res.Body.Close()
	l.add("bar", 1)
	w = d.watch("prefix=", id)
	ev := w.next()
	if ev.data != `{"key":"bar","value":3,"value_text":"3"}` || ev.id != "l.3" {
		t.Fatalf("%+v: want bar as 3 with id l.3", ev)
	}
	for _, id := range []string{"other.7", "nonsense", "l.3,gone.1"} {
		if _, all := d.watch("key=foo", id).snapshot(); len(all) != 1 {
			t.Errorf("%q: %q, want all there is", id, all)
		}
	}
}

// A writer that is another one is noticed while the stream is open.
func TestWatchWhenTheWriterIsAnother(t *testing.T) {
	t.Parallel()
	d, l := open(t), newLog("l")
	d.reader.answer = l.answer
	l.add("foo", 1)
	w := d.watch("prefix=", "")
	w.snapshot()
	l.restart("m", "foo", 1)
	if id, all := w.snapshot(); id != "m.1" || len(all) != 1 || !strings.Contains(all[0], `"value":2`) {
		t.Errorf("%q with id %q: want foo as 2 and m.1", all, id)
	}
}

// A writer that is away for a while is asked again.
func TestWatchWhenTheWriterIsAway(t *testing.T) {
	t.Parallel()
	d, l := open(t), newLog("l")
	d.reader.answer = l.answer
	w := d.watch("prefix=", "")
	w.snapshot()
	l.fails(errors.New("no writer serves partition 0"))
	l.add("foo", 1)
	l.fails(nil)
	w.want(`{"key":"foo","value":1,"value_text":"1"}`)
	l.fails(errors.New("no writer serves partition 0"))
	d.declined(d.read("/v1/watch?prefix="), 503)
}

// The logs of several writers are watched side by side.
func TestWatchOfSeveralWriters(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 3 })
	a, b := newLog("a"), newLog("b")
	a.partitions, b.partitions = []int{0, 2}, []int{1}
	owner := []*log{a, b, a}
	d.reader.writers = func(ctx context.Context, partition int, q piccolo.Query) (piccolo.Answer, error) {
		return owner[partition].answer(ctx, q)
	}
	a.add("x", 1)
	b.add("y", 1)
	w := d.watch("prefix=", "")
	if id, all := w.snapshot(); id != "a.1,b.1" || len(all) != 2 {
		t.Errorf("%q with id %q", all, id)
	}
	b.add("y", 1)
	ev := w.want(`{"key":"y","value":2,"value_text":"2"}`)
	if ev.id != "a.1,b.2" {
		t.Errorf("id %q", ev.id)
	}
	a.add("x", 1)
	if ev := d.watch("prefix=", ev.id).next(); ev.data != `{"key":"x","value":2,"value_text":"2"}` || ev.id != "a.2,b.2" {
		t.Errorf("resumed: %+v", ev)
	}
}

// A writer that tells something at once does so while others have not been
// asked yet.
func TestWatchOfManyWritersThatTellAtOnce(t *testing.T) {
	t.Parallel()
	const writers = 64
	d := open(t, func(c *ingress.Config) { c.Partitions = writers })
	logs := make([]*log, writers)
	for i := range logs {
		logs[i] = newLog(fmt.Sprintf("l%d", i))
		logs[i].partitions = []int{i}
	}
	d.reader.writers = func(ctx context.Context, partition int, q piccolo.Query) (piccolo.Answer, error) {
		a, err := logs[partition].answer(ctx, q)
		if q.Page != nil { // what the snapshot lacks, each has to tell
			logs[partition].add(fmt.Sprintf("k%d", partition), 1)
		}
		return a, err
	}
	w := d.watch("prefix=", "")
	w.snapshot()
	for told := make(map[string]bool); len(told) < writers; {
		told[w.next().data] = true
	}
}

func TestWatchIsRefused(t *testing.T) {
	t.Parallel()
	d, l := open(t), newLog("l")
	d.reader.answer = l.answer
	for query, detail := range map[string]string{
		"":                 "say what to watch",
		"key=":             "key is blank",
		"key=a&prefix=b":   "does not go with key",
		"prefix=&limit=10": `parameter "limit" is unknown: want key, prefix`,
	} {
		if p := d.declined(d.read("/v1/watch?"+query), 400); !strings.Contains(p.Detail, detail) {
			t.Errorf("%q: %s, want %s", query, p.Detail, detail)
		}
	}
	for range 3 {
		d.watch("prefix=", "").snapshot()
	}
	if p := d.declined(d.read("/v1/watch?prefix="), 503); !strings.Contains(p.Detail, "3 watchers") {
		t.Errorf("%s", p.Detail)
	}
}

// A stop ends the streams, in order.
func TestWatchEndsWithTheIngress(t *testing.T) {
	t.Parallel()
	d, l := open(t), newLog("l")
	d.reader.answer = l.answer
	w := d.watch("prefix=", "")
	w.snapshot()
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	for w.scan.Scan() {
		if text := w.scan.Text(); text != "" {
			t.Errorf("%q after the stop", text)
		}
	}
	if err := w.scan.Err(); err != nil {
		t.Errorf("the stream broke off: %v", err)
	}
}
