package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// verifyCmd checks that nothing was lost and nothing counted twice: every
// increment that was accepted is in memory, in the stream, or in the database,
// once.
type verifyCmd struct {
	dataFlags `embed:""`
	dbFlag    `embed:""`
	natsFlags `embed:""`

	Offline bool          `help:"Look at the files of a piccolo that does not run: database, stream and spool in the data directory."`
	Quick   bool          `help:"Leave out SQLite's integrity_check, which reads the whole database."`
	Timeout time.Duration `help:"How long it may take." default:"60s" placeholder:"D"`
	JSON    bool          `name:"json" help:"Print JSON."`
}

// verdict is what verify found.
type verdict struct {
	OK     bool       `json:"ok"`
	Live   bool       `json:"live"`
	Checks []verified `json:"checks"`
	Sums   *balance   `json:"increments,omitempty"`
}

// verified is one line of what was checked.
type verified struct {
	Name   string   `json:"name"`
	OK     bool     `json:"ok"`
	Says   string   `json:"says"`
	Broken []string `json:"broken,omitempty"`
}

func (v *verdict) add(name, says string, broken []string) {
	v.Checks = append(v.Checks, verified{name, len(broken) == 0, says, broken})
	v.OK = v.OK && len(broken) == 0
}

var errBroken = errors.New("an invariant is broken: see above; keep the files as they are, the stream and a backup may tell more")

func (c *verifyCmd) Run(log *slog.Logger, out output) error {
	// Offline, a copy of the stream is not to be left where temporary files are.
	interrupted, stop := untilInterrupted()
	defer stop()
	err := c.verify(interrupted, log, out)
	if err != nil && interrupted.Err() != nil {
		return errInterrupted
	}
	return err
}

func (c *verifyCmd) verify(ctx context.Context, log *slog.Logger, out output) error {
	reader, err := sqlite.OpenReader(ctx, c.dbPath(c.dataFlags))
	v := &verdict{OK: true, Live: !c.Offline}
	if errors.Is(err, sqlite.ErrDamaged) {
		v.damaged([]string{err.Error()})
		return v.finish(out, c.JSON)
	}
	if err != nil {
		return whichDatabase(err)
	}
	defer closeLogged(log, "database", reader)
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if c.Offline {
		err = c.offline(ctx, log, reader, v)
	} else {
		err = c.live(ctx, log, reader, v)
	}
	if err != nil {
		return err
	}
	return v.finish(out, c.JSON)
}

// audit reads the database.
func (c *verifyCmd) audit(ctx context.Context, reader *sqlite.Reader) (*sqlite.Audit, error) {
	a, err := reader.Audit(ctx, !c.Quick)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("the database could not be read within --timeout %s: give it more, or leave out the integrity_check with --quick: %w", c.Timeout, ctx.Err())
	}
	return a, err
}

// finish prints the verdict and turns it into the command's outcome.
func (v *verdict) finish(out output, asJSON bool) error {
	var err error
	if asJSON {
		err = printJSON(out.stdout, v)
	} else {
		err = v.print(out.stdout)
	}
	if err == nil && !v.OK {
		err = broken(errBroken)
	}
	return err
}

func (v *verdict) print(w io.Writer) error {
	var b strings.Builder
	for _, c := range v.Checks {
		mark := "ok    "
		if !c.OK {
			mark = "BROKEN"
		}
		fmt.Fprintf(&b, "%s  %-10s %s\n", mark, c.Name, c.Says)
		for _, line := range c.Broken {
			fmt.Fprintf(&b, "                   %s\n", line)
		}
	}
	if v.Sums != nil && v.OK {
		s := v.Sums
		fmt.Fprintf(&b, "\naccepted %s = in memory %s + spooled %s + published %s\npublished %s = backlog %s + folded %s\n",
			grouped(s.Accepted), grouped(s.InMemory), grouped(s.Spooled), grouped(s.Published),
			grouped(s.Published), grouped(s.Backlog), grouped(s.Folded))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// database adds what the audit of the database alone found.
func (v *verdict) database(a *sqlite.Audit, full bool) {
	if a.Unread {
		v.damaged(a.Integrity)
		return
	}
	v.add("schema", "the tables and indexes that this program makes", a.Schema)
	if full {
		v.add("integrity", "SQLite's integrity_check", a.Integrity)
	}
	v.add("sums", fmt.Sprintf("numbers %d + quarantine %d = ledger %d, modulo 2^64; %s, %s in the quarantine",
		a.Sum, a.QuarantineSum, a.LedgerSum, plural(a.Numbers, "key", "keys"), plural(a.Quarantined, "delta", "deltas")), a.Sums)
	v.add("ledger", fmt.Sprintf("%s with %s from %s", plural(a.Batches, "batch", "batches"), plural(a.Increments, "increment", "increments"),
		plural(len(a.Accounts), "producer and partition", "producers and partitions")), a.Ledger)
}

// damaged adds that the file cannot be read as far as anything else could be said.
func (v *verdict) damaged(findings []string) {
	v.add("integrity", "SQLite reads all of the file", findings)
}

// store adds whether all of the stream's files can be read.
func (v *verdict) store(s *streamEvidence) {
	var broken []string
	if s.unreadable > 0 {
		broken = append(broken, fmt.Sprintf("%s bytes cannot be read, and the next start cuts them off: the batches in them that are not folded are lost. Only a record that a power cut left half written was never acknowledged", grouped(s.unreadable)))
	}
	v.add("store", "every record of the stream can be read", broken)
}

// conservation adds what came of following the increments.
func (v *verdict) conservation(b *balance) {
	v.add("batches", "each is folded, in the stream or in the spool", b.missing)
	v.add("stream", fmt.Sprintf("nothing was taken out before it was folded; %s with %s to go",
		plural(b.BacklogBatches, "batch", "batches"), plural(b.Backlog, "increment", "increments")), b.removed)
	v.add("producers", fmt.Sprintf("%d run, and agree with ledger and stream to the increment; %d are gone", b.Running, b.Producers-b.Running), b.differences)
	v.Sums = b
}

// readSpool reads the batches in the spool of the data directory.
func (c *verifyCmd) readSpool() (map[piccolo.Origin]held, error) {
	messages, err := ingress.Spooled(filepath.Join(c.Data, "spool"))
	spooled := make(map[piccolo.Origin]held)
	for _, m := range messages {
		put(spooled, m.ID, m.Increments)
	}
	return spooled, err
}

// offline looks at the files of a service that does not run.
func (c *verifyCmd) offline(ctx context.Context, log *slog.Logger, reader *sqlite.Reader, v *verdict) error {
	if _, err := os.Stat(c.Data); err != nil {
		return fmt.Errorf("data directory: %w: name it with --data", err)
	}
	unlock, err := lockDir(c.Data) // and nobody starts meanwhile
	if err != nil {
		return fmt.Errorf("%w; or verify it while it runs, without --offline, which takes that its NATS server can be reached: --nats-listen is not off", err)
	}
	defer unlock()
	e := new(evidence)
	if e.audit, err = c.audit(ctx, reader); err != nil {
		return err
	}
	e.later = e.audit
	v.database(e.audit, !c.Quick)
	if len(e.audit.Schema) > 0 || e.audit.Unread {
		return nil // there is nothing to follow the increments by
	}
	if e.spooled, err = c.readSpool(); err != nil {
		v.add("spool", "every batch in it can be read", strings.Split(err.Error(), "\n"))
	}
	store := c.store()
	switch _, err := os.Stat(store); {
	case errors.Is(err, fs.ErrNotExist): // a writer by itself has none
	case err != nil:
		return err
	default:
		if e.stream, err = readStore(ctx, store, e.audit, log); err != nil {
			return err
		}
		v.store(e.stream)
	}
	v.conservation(e.reconcile())
	return nil
}

// readStore reads the stream in a store that no server has open, from a copy.
func readStore(ctx context.Context, store string, a *sqlite.Audit, log *slog.Logger) (*streamEvidence, error) {
	dir, remove, err := copyStore(ctx, store)
	if err != nil {
		return nil, err
	}
	defer remove()
	server, err := bus.StartServer(bus.ServerOptions{Dir: dir, Listen: "off", Lazy: true, MaxBytes: 1 << 50, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer server.Shutdown()
	conn, err := server.Connect("piccolo verify", log)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	f, err := follow(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer f.stop()
	s, err := f.evidence(ctx, conn, a)
	if err == nil {
		s.unreadable, err = conn.Damaged(ctx)
	}
	return s, err
}

// follower reads the stream in the background.
type follower struct {
	stop func()

	mu    sync.Mutex
	s     streamEvidence
	at    time.Time // when the last message came
	ended bool      // s has been handed out: what still comes after stop is not added

	pending uint64 // messages that the stream held behind it
}

func follow(ctx context.Context, conn *bus.Bus) (*follower, error) {
	f := &follower{s: streamEvidence{held: make(map[piccolo.Origin]held)}, at: time.Now()}
	var b piccolo.Batch
	stop, err := conn.Follow(ctx, func(d piccolo.Delivery) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.ended {
			return
		}
		f.s.seen, f.at, f.pending = d.StreamSeq, time.Now(), d.Pending
		f.s.messages++
		if err := d.Decode(&b); err != nil {
			f.s.bad++ // the writer puts it aside
			return
		}
		put(f.s.held, b.BatchID, b.Increments)
	})
	f.stop = stop
	return f, err
}

// stillness is after how long without a message there is none.
const stillness = 2 * time.Second

// evidence returns what the stream holds, when all of it has been read.
func (f *follower) evidence(ctx context.Context, conn *bus.Bus, a *sqlite.Audit) (*streamEvidence, error) {
	for {
		i, err := conn.Inspect(ctx)
		if err != nil {
			return nil, err
		}
		if refused := new(bus.RefusedError); errors.As(conn.Check(ctx), &refused) {
			return nil, refused // as of what asks for messages, which nobody waits for
		}
		f.mu.Lock()
		seen := f.s.seen
		// The last of the stream may be gone: then nothing more comes.
		still := stillness
		if f.s.messages == 0 {
			still *= 5 // the first may be slow to come, and nothing says yet how many do
		}
		done := seen >= i.LastSeq || i.Messages == 0 || f.pending == 0 && time.Since(f.at) > still
		f.mu.Unlock()
		if done {
			f.stop()
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ended = true
			s := f.s
			s.created, s.first, s.last = i.Created, i.FirstSeq, i.LastSeq
			if s.gaps, err = conn.Gaps(ctx); err != nil {
				return nil, err
			}
			for _, consumer := range i.Consumers {
				if _, here := a.Positions[consumer.Partition]; !here {
					s.elsewhere = max(s.elsewhere, consumer.AckFloor)
				}
			}
			return &s, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("the stream could not be read to its end in time, %d of %d: %w", seen, i.LastSeq, ctx.Err())
		}
	}
}

// attempts is how often a service that runs is looked at until a look is
// conclusive.
const attempts = 5

// live looks at a service that runs.
func (c *verifyCmd) live(ctx context.Context, log *slog.Logger, reader *sqlite.Reader, v *verdict) error {
	conn, err := c.connect("verify", log)
	if err != nil {
		return fmt.Errorf("%w (of a piccolo that does not run, verify the files with --offline)", err)
	}
	defer conn.Close()
	audit, err := c.audit(ctx, reader)
	if err != nil {
		return err
	}
	v.database(audit, !c.Quick)
	if len(audit.Schema) > 0 || audit.Unread {
		return nil
	}
	i, err := conn.Inspect(ctx)
	if err != nil {
		return whoVerifies(err)
	}
	if errs := misowned(i, audit); len(audit.Positions) > 0 && len(errs) > 0 {
		return fmt.Errorf("%s is not the service's at %s: verify that with --data or --db: %w", c.dbPath(c.dataFlags), bus.Redacted(c.NATS), errs[0])
	}
	for range attempts {
		b, err := c.look(ctx, conn, reader)
		if err != nil {
			return whoVerifies(err)
		}
		if !b.inconclusive {
			v.conservation(b)
			return nil
		}
	}
	return fmt.Errorf("the service moves too fast to be followed: %d looks at it were all overtaken: try again", attempts)
}

// whoVerifies adds to the error of a user that may not look who may.
func whoVerifies(err error) error {
	if errors.As(err, new(*bus.RefusedError)) {
		return fmt.Errorf("%w; or verify as the writer's user, which has all that this takes", err)
	}
	return err
}

// look takes the evidence of one moment. What comes later in an increment's life
// is read first, but for the stream, which is followed all the while: so
// whatever is between two places is seen in one of them.
func (c *verifyCmd) look(ctx context.Context, conn *bus.Bus, reader *sqlite.Reader) (*balance, error) {
	f, err := follow(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer f.stop()
	e := &evidence{}
	if e.audit, err = reader.Accounts(ctx); err != nil {
		return nil, err
	}
	if e.reports, err = nextReports(ctx, conn); err != nil {
		return nil, err
	}
	if e.spooled, err = c.readSpool(); err != nil {
		return nil, err
	}
	if e.stream, err = f.evidence(ctx, conn, e.audit); err != nil {
		return nil, err
	}
	e.later, err = reader.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	return e.reconcile(), nil
}

// nextReports collects what every ingress says of what it published: the second
// report of each from now on, since the first may have been on its way.
func nextReports(ctx context.Context, conn *bus.Bus) (map[string]piccolo.Published, error) {
	heard, stop, err := hear(conn)
	if err != nil {
		return nil, err
	}
	defer stop()
	count := make(map[string]int)
	reports := make(map[string]piccolo.Published)
	end := time.After(2*reportEvery + reportEvery/2)
	for {
		select {
		case r := <-heard:
			if count[r.ID]++; r.Ingress == nil || count[r.ID] != 2 {
				continue
			}
			for _, p := range r.Ingress.Published {
				reports[reportKey(piccolo.Origin{Producer: r.Ingress.Producer, Partition: p.Partition})] = p
			}
		case <-end:
			return reports, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
