package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// doctorCmd looks at everything that a piccolo needs, here and now, and says of
// what is wrong how to put it right.
type doctorCmd struct {
	dataFlags `embed:""`
	dbFlag    `embed:""`
	natsFlags `embed:""`

	Listen string `help:"Address of the API." default:":3333" placeholder:"ADDR"`
	Admin  string `help:"Address of the admin listener." default:"127.0.0.1:3334" placeholder:"ADDR"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// diagnosis is what the doctor found.
type diagnosis struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

// finding is one thing that was looked at.
type finding struct {
	Name  string `json:"name"`
	State string `json:"state"` // ok, warning or wrong
	Says  string `json:"says"`
	Fix   string `json:"fix,omitempty"`
}

func (d *diagnosis) ok(name, format string, args ...any) {
	d.Checks = append(d.Checks, finding{Name: name, State: "ok", Says: fmt.Sprintf(format, args...)})
}

func (d *diagnosis) warn(name, says, fix string) {
	d.Checks = append(d.Checks, finding{name, "warning", says, fix})
}

func (d *diagnosis) wrong(name, says, fix string) {
	d.OK = false
	d.Checks = append(d.Checks, finding{name, "wrong", says, fix})
}

func (c *doctorCmd) Run(log *slog.Logger, out output) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	d := &diagnosis{OK: true}
	running := c.service(ctx, d)
	if !running {
		c.ports(d)
	}
	// What the connection logs is said by the checks.
	c.nats(ctx, d, slog.New(slog.DiscardHandler))
	c.database(ctx, d)
	c.spool(d)
	c.disk(d)
	c.files(d)
	var err error
	if c.JSON {
		err = printJSON(out.stdout, d)
	} else {
		err = d.print(out.stdout)
	}
	if err == nil && !d.OK {
		err = broken(errors.New("something is wrong: see above"))
	}
	return err
}

func (d *diagnosis) print(w io.Writer) error {
	var b strings.Builder
	for _, f := range d.Checks {
		mark := map[string]string{"ok": "ok     ", "warning": "warning", "wrong": "WRONG  "}[f.State]
		fmt.Fprintf(&b, "%s  %-11s %s\n", mark, f.Name, f.Says)
		if f.Fix != "" {
			fmt.Fprintf(&b, "%s  %-11s → %s\n", "       ", "", f.Fix)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// service asks the process at the admin address how it is.
func (c *doctorCmd) service(ctx context.Context, d *diagnosis) (running bool) {
	err := askReady(ctx, c.Admin)
	var refused *net.OpError
	switch {
	case err == nil:
		d.ok("service", "the piccolo at %s is ready", c.Admin)
	case errors.As(err, &refused):
		d.warn("service", fmt.Sprintf("nobody answers at %s", c.Admin), "start one with piccolo all-in-one, or name its admin address with --admin")
		return false
	default:
		d.wrong("service", fmt.Sprintf("the piccolo at %s is not ready: %v", c.Admin, err), "the checks with [-] say what it waits for, and its log why; piccolo ready shows them again")
	}
	return true
}

// ports looks whether a piccolo could listen where it is to.
func (c *doctorCmd) ports(d *diagnosis) {
	for _, p := range []struct{ flag, addr string }{{"--listen", c.Listen}, {"--admin", c.Admin}} {
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			d.wrong("ports", fmt.Sprintf("%s cannot be listened on: %v", p.addr, err), "find who has it with ss -ltnp, or choose another with "+p.flag)
			continue
		}
		_ = l.Close()
		d.ok("ports", "%s is free (%s)", p.addr, p.flag)
	}
}

// nats looks at the server, what this user may do there, the stream and the
// clocks.
func (c *doctorCmd) nats(ctx context.Context, d *diagnosis, log *slog.Logger) {
	conn, err := c.connect("doctor", log)
	if err != nil {
		d.wrong("nats", err.Error(), "start a nats-server there, or an all-in-one, which has one inside; or name it with --nats and its user with --nats-creds")
		return
	}
	defer conn.Close()
	server, err := conn.Ask(ctx)
	if err != nil {
		d.wrong("nats", err.Error(), "is the server overloaded, or the way to it?")
		return
	}
	d.ok("nats", "%s, nats-server %s, answers in %s", server.URL, server.Version, server.RoundTrip.Round(10*time.Microsecond))
	c.stream(ctx, d, conn)
	c.sync(ctx, d, conn)
}

func (c *doctorCmd) stream(ctx context.Context, d *diagnosis, conn *bus.Bus) {
	asked := time.Now()
	i, err := conn.Inspect(ctx)
	if err != nil {
		d.wrong("stream", err.Error(), "make it with piccolo stream init; if this user may not look at it, run piccolo auth for what each role needs")
		return
	}
	for _, departs := range i.Departs {
		says, fix, _ := strings.Cut(departs, "; ")
		d.wrong("stream", says, fix)
	}
	if len(i.Departs) == 0 {
		d.ok("stream", "%s with %d partitions and %d replicas is as it should be", i.Name, i.Partitions, i.Replicas)
	}
	if i.MaxBytes > 0 && float64(i.Bytes) > .8*float64(i.MaxBytes) {
		d.wrong("stream", fmt.Sprintf("it holds %s of %s: when it is full, increments are refused", bytesText(i.Bytes), bytesText(i.MaxBytes)),
			"see piccolo backlog for whether a writer runs and keeps up; more room: piccolo stream init --stream-max-bytes")
	}
	for _, consumer := range i.Consumers {
		if consumer.Backlog() > 0 && consumer.Waiting == 0 {
			d.wrong("writer", fmt.Sprintf("partition %d has a backlog of %d batches and no writer reads it", consumer.Partition, consumer.Backlog()), "start one: piccolo writer")
		}
	}
	// The answer was made between the question and now.
	took := time.Since(asked)
	switch off := i.Now.Sub(asked.Add(took / 2)); {
	case off.Abs() > took+time.Second:
		d.wrong("clock", fmt.Sprintf("this machine's clock and the NATS server's are %s apart: freshness is measured by clocks", off.Abs().Round(10*time.Millisecond)), "synchronise both: timedatectl set-ntp true")
	default:
		d.ok("clock", "agrees with the NATS server's to within %s", max(off.Abs(), took).Round(time.Millisecond))
	}
}

// sync finds out when the stream is fsynced, which only a server's owner knows.
func (c *doctorCmd) sync(ctx context.Context, d *diagnosis, conn *bus.Bus) {
	reports, stop, err := hear(conn)
	if err != nil {
		d.warn("reports", err.Error(), "allow this user to subscribe to piccolo.report.*: see piccolo auth")
		return
	}
	defer stop()
	end := time.After(reportEvery + reportEvery/2)
	heard := make(map[string]piccolo.Report)
	mode := ""
	for waiting := true; waiting; {
		select {
		case r := <-reports:
			heard[r.ID] = r
			if r.Sync != "" {
				mode = r.Sync
			}
		case <-end:
			waiting = false
		case <-ctx.Done():
			return
		}
	}
	versions := make(map[string]bool)
	for _, r := range heard {
		versions[r.Version] = true
		if r.Unready != "" {
			d.wrong("processes", fmt.Sprintf("%s %s:%d is not ready: %s", r.Role, r.Host, r.PID, r.Unready), "see its log")
		}
	}
	switch {
	case len(heard) == 0:
		d.warn("processes", "none reports on this NATS server", "start one; or name the server that they use with --nats")
	case len(versions) > 1:
		d.warn("processes", fmt.Sprintf("%d report, of %d versions", len(heard), len(versions)), "bring all to one")
	default:
		d.ok("processes", "%d report, of one version", len(heard))
	}
	switch mode {
	case "always":
		d.ok("sync", "the stream is fsynced before each acknowledgement")
	case "interval":
		d.warn("sync", "the stream is fsynced now and then: a power cut loses increments that were acknowledged", "start all-in-one with --sync always")
	default:
		d.warn("sync", "whether this NATS server fsyncs before it acknowledges cannot be seen from here; by default it does not, and a power cut loses increments", "set sync_interval: always in the jetstream block of its configuration")
	}
}

func (c *doctorCmd) database(ctx context.Context, d *diagnosis) {
	path := c.dbPath(c.dataFlags)
	reader, err := sqlite.OpenReader(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.warn("database", path+" is not there yet", "a writer makes it when it starts; or name it with --db")
		return
	case err != nil:
		d.wrong("database", err.Error(), "restore it from a backup (piccolo db backup made it), and start: what the stream holds is folded again")
		return
	}
	defer reader.Close()
	a, err := reader.Accounts(ctx)
	switch {
	case err != nil:
		d.wrong("database", err.Error(), "see piccolo db check")
	case len(a.Ledger) > 0:
		d.wrong("database", strings.Join(a.Ledger, "; "), "keep the file as it is, and see piccolo verify")
	default:
		d.ok("database", "%s, %d producers and partitions in its ledger; piccolo db check reads all of it", path, len(a.Accounts))
	}
	var missing uint64
	for _, account := range a.Accounts {
		missing += account.Seqs.Missing()
	}
	if missing > 0 {
		d.wrong("database", fmt.Sprintf("its ledger misses %d batches below others that it has", missing), "they are late or lost: piccolo verify tells which")
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 512<<20 {
		d.warn("database", fmt.Sprintf("its write-ahead log is %s", bytesText(info.Size())), "a reader holds a transaction open: find it with fuser "+path)
	}
}

func (c *doctorCmd) spool(d *diagnosis) {
	messages, err := ingress.Spooled(filepath.Join(c.Data, "spool"))
	switch {
	case err != nil:
		d.wrong("spool", err.Error(), "keep the file: piccolo decode FILE may read it")
	case len(messages) > 0:
		d.warn("spool", fmt.Sprintf("%d batches wait for the next start of the ingress", len(messages)), "start it: piccolo ingress, or all-in-one, with the same --data")
	}
}

func (c *doctorCmd) disk(d *diagnosis) {
	dir := c.Data
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Dir(dir)
	}
	free, size := diskSpace(dir)
	says := fmt.Sprintf("%s of %s are free under %s", bytesText(uint64(max(free, 0))), bytesText(uint64(max(size, 0))), dir)
	switch {
	case free < 0:
		d.warn("disk", "its space cannot be read under "+dir, "name the data directory with --data")
	case free < 256<<20:
		d.wrong("disk", says, "free some: when it is full, increments are refused until there is room")
	case free < 2<<30 || free < size/20:
		d.warn("disk", says, "the stream may take 1 GiB (--stream-max-bytes), the database's log another 100 MiB")
	default:
		d.ok("disk", "%s", says)
	}
}

// files looks at how many files, which are connections, a process started here
// may have open.
func (c *doctorCmd) files(d *diagnosis) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	if limit.Max < 8192 {
		d.warn("files", fmt.Sprintf("a process may have %d files open, and each client's connection is one", limit.Max), "ulimit -Hn 65536, or LimitNOFILE=65536 in the unit")
		return
	}
	d.ok("files", "a process may have %s open", grouped(uint64(limit.Max)))
}
