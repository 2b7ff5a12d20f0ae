package writer_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/writer"
)

// rig is a writer between a stream in memory and a real database. In a bubble
// of fake time a writer gets everything done before the next second.
type rig struct {
	writer.Config
	t      rapid.TB
	path   string
	stream *stream
	store  *store
	seen   *observer

	writer *writer.Writer
	ended  chan error
}

// inBubble runs a test with a rig, whose writer is not started yet.
func inBubble(t *testing.T, test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, filepath.Join(t.TempDir(), "numbers.db"))
		defer r.close()
		test(t, r)
	})
}

func newRig(t rapid.TB, path string) *rig {
	store := openStore(t, path)
	r := &rig{t: t, path: path, store: store, stream: newStream(t, store), seen: new(observer)}
	r.Config = writer.Config{
		Partitions: []int{0}, Of: 1, Stream: r.stream, Store: store, Observer: r.seen, Log: slog.New(slog.DiscardHandler),
		Freshness: 100 * time.Millisecond, DrainTimeout: 10 * time.Second, TokenTTL: 24 * time.Hour,
	}
	return r
}

// open makes a writer that is subscribed and does nothing yet.
func (r *rig) open() {
	r.t.Helper()
	w, err := writer.Open(context.Background(), r.Config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.writer = w
}

// start runs a writer.
func (r *rig) start() {
	r.t.Helper()
	r.open()
	r.run()
}

// run has the writer that was opened go on.
func (r *rig) run() {
	w := r.writer
	r.ended = make(chan error, 1)
	go func() { r.ended <- w.Execute() }()
}

// settle returns when the writer has nothing to do.
func (r *rig) settle() { synctest.Wait() }

// pass lets time pass, and the writer do what is due.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// stop interrupts the writer and returns how it ended.
func (r *rig) stop() error {
	r.writer.Interrupt(nil)
	err := <-r.ended
	r.writer = nil
	return err
}

// over returns how the writer has ended by itself.
func (r *rig) over() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	default:
		r.t.Fatal("the writer goes on")
		return nil
	}
}

// die ends a writer that was opened or has ended, as far as it lives.
func (r *rig) die() {
	r.writer.Close()
	r.writer = nil
}

// reopen opens the database as the next process does.
func (r *rig) reopen(path string) {
	r.t.Helper()
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
	r.store = openStore(r.t, path)
	r.Store, r.stream.store = r.store, r.store
}

func (r *rig) close() {
	if r.writer != nil {
		if err := r.stop(); err != nil {
			r.t.Errorf("the writer ended with %v", err)
		}
	}
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
}

// batch makes a batch of producer p on partition 0.
func batch(seq uint64, deltas ...piccolo.Delta) *piccolo.Batch {
	return &piccolo.Batch{
		BatchID:    piccolo.BatchID{Producer: "p", Seq: seq},
		Increments: uint64(len(deltas)),
		Accepted:   time.Now(),
		Deltas:     deltas,
	}
}

// ones makes batches, each of which adds 1 to k.
func ones(seqs ...uint64) (batches []*piccolo.Batch) {
	for _, seq := range seqs {
		batches = append(batches, batch(seq, piccolo.Delta{Key: "k", Value: 1}))
	}
	return batches
}

// on puts a batch on another partition.
func on(partition int, b *piccolo.Batch) *piccolo.Batch {
	b.Partition = partition
	return b
}

// observer keeps what it is told.
type observer struct {
	mu      sync.Mutex
	commits []piccolo.Commit
	rewound int
	lost    []uint64
	gone    uint64
	damaged []uint64
}

func (o *observer) Committed(c piccolo.Commit) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.commits = append(o.commits, c)
}

func (o *observer) Rewound() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rewound++
}

func (o *observer) Lost(batches uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost = append(o.lost, batches)
}

func (o *observer) Gone(atMost uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone += atMost
}

func (o *observer) Damaged(bytes uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.damaged = append(o.damaged, bytes)
}

// sum adds up all commits.
func (o *observer) sum() (total piccolo.Commit) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.commits {
		total.Batches += c.Batches
		total.Duplicates += c.Duplicates
		total.Increments += c.Increments
		total.Skipped += c.Skipped
		total.Conflicts += c.Conflicts
		total.Rows += c.Rows
		total.Quarantine.In += c.Quarantine.In
		total.Quarantine.Out += c.Quarantine.Out
		total.Rejected += c.Rejected
		total.Freshness = append(total.Freshness, c.Freshness...)
	}
	return total
}

// backUp copies the database.
func (r *rig) backUp(path string) {
	r.t.Helper()
	if err := r.store.Close(); err != nil {
		r.t.Fatal(err)
	}
	data, err := os.ReadFile(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.store = openStore(r.t, r.path)
	r.Store, r.stream.store = r.store, r.store
}
