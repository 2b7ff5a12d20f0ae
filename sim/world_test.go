package sim_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing/synctest"
	"time"
)

// world is one run of the service with all that is around it.
type world struct {
	profile
	mutant
	rng   *rand.Rand // for the driver alone
	trace *trace
	dir   string // for spools

	// mu is the driver's whenever it acts. What the service calls takes it
	// too, and never has to wait: the driver acts while the service rests.
	mu      sync.Mutex
	inbox   []event // what the service has told since the driver last looked
	arrived []*call // what it has asked since then
	calls   []*call // what it has asked and waits for
	broken  error   // the first thing that is not as it must be

	net      network
	stream   *stream
	db       *database
	book     *book
	slots    []*slot
	writers  []*folder
	receipts []receipt
	orders   []*order
	backup   *database

	processes  int             // started so far
	clients    int             // waited so far
	stamps     int             // that clients have noted so far
	killed     map[string]bool // by name
	restored   bool            // the database was, so that what was applied may not be
	upset      bool            // the stream has lost something
	mustRewind bool            // a stream that has been read is gone
	rewound    int             // times
}

// run lives through one seed, inside a bubble of synctest, and says what was
// not as it must be.
func run(seed uint64, m mutant, tr *trace, dir string) error {
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	w := &world{profile: newProfile(rng), rng: rng, mutant: m.sane(), trace: tr, dir: dir, killed: make(map[string]bool)}
	tr.begin()
	w.logf("%s", w.profile)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stream = newStream(w)
	w.book = newBook(w)
	w.db = newDatabase(w)
	for n := range w.profile.slots {
		w.slots = append(w.slots, &slot{w: w, n: n, spool: fmt.Sprintf("%s/%d", dir, n)})
	}
	for step := 0; step < w.steps && w.broken == nil; step++ {
		w.pass(w.pause())
		w.act()
		w.settle()
	}
	w.calm()
	w.endAll()
	for _, s := range w.slots {
		_ = os.RemoveAll(s.spool)
	}
	return w.broken
}

// fail notes that something is not as it must be. The first counts.
func (w *world) fail(format string, args ...any) {
	if w.broken == nil {
		w.broken = fmt.Errorf(format, args...)
		w.logf("✗ %v", w.broken)
	}
}

func (w *world) logf(format string, args ...any) { w.trace.logf(format, args...) }

// moment keeps the driver's moments apart: no two of them are a whole number
// of milliseconds apart, and so neither are timers of the service that were
// started at two of them, all of whose durations are.
const moment = 977 * time.Nanosecond

// pass lets d pass, rounded to milliseconds, and a moment.
func (w *world) pass(d time.Duration) {
	d = d.Truncate(time.Millisecond)
	for _, f := range w.writers {
		d = f.bound(d)
	}
	w.mu.Unlock()
	time.Sleep(d + moment)
	w.mu.Lock()
	w.settle()
}

// settle waits until the service has come to rest, taking in what it says and
// answering what is to be answered at once.
func (w *world) settle() {
	for {
		w.mu.Unlock()
		synctest.Wait()
		w.mu.Lock()
		w.collect()
		for _, f := range w.writers {
			f.rest()
		}
		w.checkStep()
		c := w.prompt()
		if c == nil {
			return
		}
		w.answer(c)
	}
}

// collect takes in what the service has said. Goroutines that ran at the same
// time may have spoken in any order; it is put into one.
func (w *world) collect() {
	inbox := w.inbox
	w.inbox = nil
	slices.SortStableFunc(inbox, func(a, b event) int { return a.compare(b.label) })
	for _, e := range inbox {
		e.do()
	}
	arrived := w.arrived
	w.arrived = nil
	slices.SortStableFunc(arrived, func(a, b *call) int { return a.compare(b.label) })
	w.calls = append(w.calls, arrived...)
	for _, c := range arrived {
		w.noteCall(c)
	}
	w.calls = slices.DeleteFunc(w.calls, func(c *call) bool { return c.gone })
}

// prompt returns a call that is to be answered before anything else happens.
func (w *world) prompt() *call {
	for _, c := range w.calls {
		if c.prompt {
			return c
		}
	}
	return nil
}

// chance is true with the probability p.
func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// pick returns one of s.
func pick[T any](w *world, s []T) T { return s[w.rng.IntN(len(s))] }

// disturbed says whether the order in which the stream had its messages may be
// another by now, or one in which they were folded.
func (w *world) disturbed() bool { return w.upset || w.restored || w.rewound > 0 }
