package sim_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/writer"
)

// folder is a process with a writer.
//
// The driver keeps track of what the writer's loop is at, to spare it choices:
// where its select would find more than one thing ready, it chooses at random,
// and the run could not be repeated.
type folder struct {
	process
	w             *world
	writer        *writer.Writer
	store         *store
	subscriptions []*subscription
	stream        time.Time // that it subscribed to last: when that was created
	asked         *call     // what the loop waits for

	opened   bool
	began    time.Time // when the loop did, and with it the tick
	stopping bool
	ended    bool

	unfolded int       // taken since the last commit was asked for
	holding  bool      // the loop waits to try a commit again
	away     time.Time // since when the loop has not been back at its select; zero if it is there

	handed  []*message                       // that it has been given, and has not folded
	tending int                              // the partition whose state it has asked for last
	lost    map[int]uint64                   // batches that it reported, by partition
	missed  map[int]map[piccolo.BatchID]bool // that were missing when it reported some

	increments uint64 // that it told of
	expected   uint64 // that its commits folded
}

const tick = time.Second

// startWriter starts a writer where there is none, or beside one that it is to
// supersede.
func (w *world) startWriter() *folder {
	w.processes++
	f := &folder{w: w, lost: make(map[int]uint64), missed: make(map[int]map[piccolo.BatchID]bool)}
	f.process = process{n: w.processes, name: w.name("w"), buried: f.bury}
	f.store = w.db.open(f)
	w.writers = append(w.writers, f)
	f.away = time.Now()
	w.logf("%s starts", f.name)
	go f.live()
	return f
}

// live is the life of the process.
func (f *folder) live() {
	var err error
	dies := true
	defer func() {
		f.w.mu.Lock()
		defer f.w.mu.Unlock()
		if !f.dead {
			f.w.tell(&f.process, "ends", 0, 0, "", func() { f.end(err, dies) })
		}
	}()
	c := writer.Config{
		Of:           f.w.partitions,
		Stream:       f.w.mutant.stream(streamClient{f}),
		Store:        f.w.store(f.store),
		Observer:     f.w.observer(f),
		Log:          slog.New(f.w.logger(&f.process)),
		Freshness:    f.w.freshness,
		Retain:       f.w.retain,
		TokenTTL:     f.w.tokenTTL,
		DrainTimeout: f.w.drainTimeout,
	}
	for partition := range f.w.partitions {
		c.Partitions = append(c.Partitions, partition)
	}
	if f.w.provisions {
		c.Provision = streamClient{f}.provision
	}
	var opened *writer.Writer
	if opened, err = writer.Open(context.Background(), c); err == nil {
		f.w.mu.Lock()
		f.writer, f.opened, f.began = opened, true, time.Now()
		f.w.mu.Unlock()
		err = opened.Execute()
	}
	dies = false
}

// end is what follows when the process has ended by itself.
func (f *folder) end(err error, dies bool) {
	f.ended = true
	f.w.logf("%s ends: %v", f.name, err)
	switch {
	case dies:
		f.w.fail("%s ended without a word", f.name)
	case err == nil && !f.stopping:
		f.w.fail("%s ended without being stopped", f.name)
	case err != nil && !f.excused(err):
		f.w.fail("%s ended: %v", f.name, err)
	}
	f.bury()
}

// excused says whether the process may end for this reason.
func (f *folder) excused(err error) bool {
	switch {
	case f.store.spent != nil && errors.Is(err, f.store.spent):
		return true
	case !f.opened, errors.Is(err, errBroken), errors.Is(err, errNobody), errors.Is(err, context.DeadlineExceeded):
		return true // it is started again
	case errors.Is(err, piccolo.ErrNoRoom), errors.Is(err, piccolo.ErrLocked):
		return f.stopping
	}
	return false
}

// bury takes the process out of the world.
func (f *folder) bury() {
	for _, s := range f.subscriptions {
		s.close()
	}
	f.w.writers = slices.DeleteFunc(f.w.writers, func(o *folder) bool { return o == f })
	f.w.killCalls(&f.process)
}

// kill ends the process where it stands.
func (f *folder) kill() {
	f.w.logf("%s is killed", f.name)
	f.dead = true
	f.bury()
	if f.opened {
		go f.writer.Interrupt(nil) // for its goroutines to end; what they do from now on comes to nothing
	}
}

// stop has the process stop.
func (f *folder) stop() {
	f.w.logf("%s is asked to stop", f.name)
	f.stopping = true
	go f.writer.Interrupt(nil)
}

// idle says whether the loop is at its select, with nothing in hand.
func (f *folder) idle() bool { return f.opened && f.asked == nil && f.unfolded == 0 && !f.holding }

// rest is called when the service has come to rest.
func (f *folder) rest() {
	if f.asked != nil && f.asked.gone {
		f.asked = nil
	}
	switch {
	case f.idle():
		f.away = time.Time{}
	case f.away.IsZero():
		f.away = time.Now()
	}
}

// ticked says whether a tick waits for the loop, or the poll of a drain.
func (f *folder) ticked() bool {
	if f.away.IsZero() || !f.opened {
		return false
	}
	return time.Since(f.began)/tick != f.away.Sub(f.began)/tick
}

// takes says whether the writer may be given a message.
func (f *folder) takes() bool {
	switch {
	case f.dead, f.holding:
		return false
	case f.asked == nil:
		return true
	case f.stopping:
		return false
	case f.asked.writer.kind == askCommit && f.asked.writer.outcome.again():
		return false
	}
	return !f.ticked()
}

// took notes that the writer has been given a message.
func (f *folder) took(m *message) {
	f.handed = append(f.handed, m)
	f.unfolded++
	if f.away.IsZero() {
		f.away = time.Now()
	}
}

// bound is how much of d may pass: a tick must not come to wait for a loop
// that has messages waiting too.
func (f *folder) bound(d time.Duration) time.Duration {
	if f.asked == nil || f.unfolded == 0 || !f.opened {
		return d
	}
	next := tick - time.Since(f.began)%tick
	return min(d, (next - 2*moment).Truncate(time.Millisecond))
}

// Committed, Rewound and Lost make the folder an observer.
func (f *folder) Committed(c piccolo.Commit) {
	f.observe("committed", func() { f.w.checkCommitted(f, c) })
}

// Rewound is told that all of the stream is read again.
func (f *folder) Rewound() { f.observe("rewound", func() { f.w.rewound++ }) }

// Lost is told of batches that are nowhere.
func (f *folder) Lost(batches uint64) {
	f.observe("lost", func() { f.reported(batches) })
}

// Gone is told of what a database lacks that was restored. Invariant: nothing
// else lacks anything that has been trimmed.
func (f *folder) Gone(atMost uint64) {
	f.observe("gone", func() {
		if !f.w.restored {
			f.w.fail("%s reports %d batches that were trimmed and not folded, and no database was restored", f.name, atMost)
		}
	})
}

// Damaged is told of bytes that the server could not read.
func (f *folder) Damaged(bytes uint64) {
	f.observe("damaged", func() { f.w.fail("%s reports %d damaged bytes, and there are none", f.name, bytes) })
}

func (f *folder) observe(what string, do func()) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	f.exist()
	f.w.tell(&f.process, what, 0, 0, "", do)
}

// reported notes a report of batches that are lost, of the partition that the
// writer looks after. Invariant: no batch is reported twice, nor one that is not
// missing; it may come after all, as a request that was late.
func (f *folder) reported(batches uint64) {
	if f.missed[f.tending] == nil {
		f.missed[f.tending] = make(map[piccolo.BatchID]bool)
	}
	missed := f.missed[f.tending]
	for _, id := range f.w.db.missing(f.tending) {
		missed[id] = true
	}
	f.lost[f.tending] += batches
	if f.lost[f.tending] > uint64(len(missed)) {
		f.w.fail("%s has reported %d batches of partition %d lost, and missed were %d", f.name, f.lost[f.tending], f.tending, len(missed))
	}
}

// unreported says of which partition more is missing than was reported, if so.
func (f *folder) unreported() string {
	for n := range f.w.partitions {
		if missing := f.w.db.missing(n); uint64(len(missing)) > f.lost[n] {
			return fmt.Sprintf("of partition %d %v are missing, and %d are reported", n, missing, f.lost[n])
		}
	}
	return ""
}
