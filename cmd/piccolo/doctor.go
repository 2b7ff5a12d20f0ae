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
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/piccolo-counter/piccolo/actors/admin"
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

	Role   string `help:"What the NATS user is for: ingress, writer, admin or observer; what it may do most of, where it is not given." enum:"ingress,writer,admin,observer," default:"" placeholder:"ROLE"`
	Listen string `help:"Address of the API." default:":3333" placeholder:"ADDR"`
	Admin  string `help:"Address of the admin listener." default:"127.0.0.1:3334" placeholder:"ADDR"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// diagnosis is what the doctor found.
type diagnosis struct {
	OK     bool       `json:"ok"`
	Checks []diagnose `json:"checks"`

	stream *bus.Inspection // nil where it cannot be looked at
}

// diagnose is one finding, and what to do about it.
type diagnose struct {
	admin.Finding
	Fix string `json:"fix,omitempty"`
}

// add takes up a finding, once: a process and the doctor may find the same.
func (d *diagnosis) add(name string, state admin.State, says, fix string) {
	f := admin.Finding{Name: name, State: state, Says: harmless(strings.ReplaceAll(says, "\n", ": "))}
	if slices.ContainsFunc(d.Checks, func(have diagnose) bool { return have.Finding == f }) {
		return
	}
	d.OK = d.OK && state != admin.Wrong
	d.Checks = append(d.Checks, diagnose{f, fix})
}

func (d *diagnosis) ok(name, format string, args ...any) {
	d.add(name, admin.OK, fmt.Sprintf(format, args...), "")
}

func (d *diagnosis) warn(name, says, fix string)  { d.add(name, admin.Warning, says, fix) }
func (d *diagnosis) wrong(name, says, fix string) { d.add(name, admin.Wrong, says, fix) }

// hidden takes up that this user may not look at a file or a directory: nothing is
// known to be wrong with it, and nothing is to be done about it.
func (d *diagnosis) hidden(name, path string, err error) {
	if errors.Is(err, fs.ErrPermission) {
		err = fs.ErrPermission // it names the path again
	}
	d.warn(name, fmt.Sprintf("%s cannot be looked at: %v", path, err), "run this as root, or as the user that the service has")
}

// judge takes up a finding of those that processes have, too.
func (d *diagnosis) judge(name string, finding error, ok string) {
	if finding != nil {
		d.warn(name, finding.Error(), fixes[name])
	} else {
		d.ok(name, "%s", ok)
	}
}

func (c *doctorCmd) Run(log *slog.Logger, out output) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	d := &diagnosis{OK: true}
	if running := c.service(ctx, d); !running {
		c.ports(d)
	}
	c.nats(ctx, d)
	c.database(ctx, d)
	c.spool(d)
	c.disk(d)
	may, few := filesFinding()
	d.judge("files", few, "a process may have "+grouped(may)+" open")
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
		mark := string(f.State)
		if f.State == admin.Wrong {
			mark = "WRONG"
		}
		fmt.Fprintf(&b, "%-7s  %-11s %s\n", mark, f.Name, f.Says)
		if f.Fix != "" {
			fmt.Fprintf(&b, "%-7s  %-11s → %s\n", "", "", f.Fix)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// service asks the process at the admin address how it is.
func (c *doctorCmd) service(ctx context.Context, d *diagnosis) (running bool) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	health, err := askHealth(ctx, c.Admin)
	var refused *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		d.wrong("service", "what listens on "+c.Admin+" does not answer: it may hang", "see the log of the piccolo there, or restart it; if that is something else, name the admin address of a piccolo with --admin")
	case errors.As(err, &refused):
		c.nobody(d)
		return false
	case err != nil:
		d.wrong("service", err.Error(), "name the admin address of a piccolo with --admin")
	case health.Ready():
		d.ok("service", "the piccolo at %s is ready", c.Admin)
	default:
		d.wrong("service", fmt.Sprintf("the piccolo at %s is not ready", c.Admin), "what follows says why; piccolo ready shows it again")
	}
	for _, f := range health {
		if f.State != admin.OK {
			d.add(f.Name, f.State, f.Says, fixes[f.Name])
		}
	}
	return true
}

// nobody says why nobody answers at the admin address, as far as the data
// directory tells.
func (c *doctorCmd) nobody(d *diagnosis) {
	says := "nobody answers at " + c.Admin
	switch ended, running, err := lastOf(c.Data); {
	case err != nil:
		d.warn("service", says, "start one with piccolo all-in-one, or name its admin address with --admin")
		d.hidden("data", c.Data, err)
	case running != "":
		d.warn("service", fmt.Sprintf("%s, but process %s works with %s", says, running, c.Data), "name its admin address with --admin: its log has it, and a writer's is 127.0.0.1:3335 by default")
	case ended != "":
		d.wrong("service", says+"; "+ended, "put right what that says, and start it again; its log, or journalctl -u piccolo, has what came before")
	default:
		d.warn("service", says, "start one with piccolo all-in-one, or name its admin address with --admin; if it ended, its log or journalctl -u piccolo says why")
	}
}

// ports looks whether a piccolo could listen where it is to.
func (c *doctorCmd) ports(d *diagnosis) {
	for _, p := range []struct{ flag, addr string }{{"--listen", c.Listen}, {"--admin", c.Admin}} {
		if err := checkListen(p.flag, p.addr); err != nil {
			d.wrong("ports", err.Error(), "correct "+p.flag+": no piccolo starts with it")
			continue
		}
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			d.wrong("ports", fmt.Sprintf("%s cannot be listened on: %v", p.addr, err), "find who has it with ss -ltnp, or choose another with "+p.flag)
			continue
		}
		_ = l.Close()
		d.ok("ports", "%s is free (%s)", p.addr, p.flag)
	}
	// Whoever listens where NATS is to be is spoken to, and told of, by itself.
	if l, err := net.Listen("tcp", c.natsAddress()); err == nil {
		d.ok("ports", "%s is free (--nats-listen)", l.Addr())
		_ = l.Close()
	}
}

func (c *doctorCmd) database(ctx context.Context, d *diagnosis) {
	path := c.dbPath(c.dataFlags)
	// SQLite would say no more than that it cannot open the file.
	if err := unix.Access(path, unix.R_OK); errors.Is(err, fs.ErrPermission) {
		d.hidden("database", path, err)
		return
	}
	reader, err := sqlite.OpenReader(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.warn("database", path+" is not there yet", "a writer makes it when it starts; or name it with --db")
		return
	case errors.Is(err, sqlite.ErrDamaged):
		d.wrong("database", err.Error(), "restore it from a backup (piccolo db backup made it), and start: what the stream holds is folded again")
		return
	case err != nil:
		d.wrong("database", err.Error(), "run this as the user that the service has, or name the database with --db")
		return
	}
	defer reader.Close()
	a, err := reader.Accounts(ctx)
	switch {
	case err != nil:
		d.wrong("database", err.Error(), "see piccolo db check")
		return
	case len(a.Ledger) > 0:
		d.wrong("database", strings.Join(a.Ledger, "; "), "keep the file as it is, and see piccolo verify")
	default:
		d.ok("database", "%s, with the accounts of %s; piccolo db check reads all of it", path, plural(len(a.Accounts), "producer and partition", "producers and partitions"))
	}
	c.owner(d, a)
	var missing uint64
	for _, account := range a.Accounts {
		missing += account.Seqs.Missing()
	}
	if missing > 0 {
		d.wrong("database", fmt.Sprintf("its ledger misses %s below others that it has", plural(missing, "batch", "batches")), "they are late or lost: piccolo verify tells which")
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 512<<20 {
		d.warn("database", fmt.Sprintf("its write-ahead log is %s", bytesText(info.Size())), "a reader holds a transaction open: find it with fuser "+path)
	}
}

// owner looks whether the partitions that the database has had are still its
// own: a writer with it would be refused those that are not.
func (c *doctorCmd) owner(d *diagnosis, a *sqlite.Audit) {
	if d.stream == nil {
		return
	}
	for _, err := range misowned(d.stream, a) {
		says, fix, _ := strings.Cut(err.Error(), ": give ")
		d.wrong("writer", says, "give "+fix)
	}
}

// misowned says which partitions that a database has something of, or all where it
// has nothing of any, belong to another one.
func misowned(i *bus.Inspection, a *sqlite.Audit) (errs []error) {
	for _, consumer := range i.Consumers {
		if _, had := a.Positions[consumer.Partition]; !had && len(a.Positions) > 0 {
			continue // another writer's
		}
		if err := consumer.Admits(a.Database); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (c *doctorCmd) spool(d *diagnosis) {
	dir := filepath.Join(c.Data, "spool")
	messages, err := ingress.Spooled(dir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.hidden("spool", dir, err)
	case err != nil:
		d.wrong("spool", err.Error(), "keep the file: piccolo decode FILE may read it")
	case len(messages) > 0:
		d.warn("spool", fmt.Sprintf("%s for the next start of the ingress", plural(len(messages), "batch waits", "batches wait")), "start it: piccolo ingress, or all-in-one, with the same --data")
	}
}

func (c *doctorCmd) disk(d *diagnosis) {
	dirs := []string{c.Data, filepath.Dir(c.dbPath(c.dataFlags))}
	for i, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			dirs[i] = filepath.Dir(dir) // where it will be made
		}
	}
	dir, free, size := scarcest(dirs...)
	if free < 0 {
		d.warn("disk", "its space cannot be read under "+dir, "name the data directory with --data")
		return
	}
	d.judge("disk", diskFinding(dirs...), fmt.Sprintf("%s of %s are free under %s", bytesText(uint64(free)), bytesText(uint64(size)), dir))
}
