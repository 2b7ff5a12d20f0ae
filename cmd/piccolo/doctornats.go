package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	neturl "net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

// nats looks at the server, what this user may do there, the stream, the clocks
// and the processes.
func (c *doctorCmd) nats(ctx context.Context, d *diagnosis) {
	conn, allowed, err := c.meet(ctx)
	if err != nil {
		c.unmet(ctx, d, err)
		return
	}
	defer conn.Close()
	server, err := conn.Ask(ctx)
	if err != nil {
		d.wrong("nats", err.Error(), "is the server overloaded, or the way to it?")
		return
	}
	d.ok("nats", "%s, nats-server %s, answers in %s", server.URL, server.Version, server.RoundTrip.Round(10*time.Microsecond))
	looks := c.permissions(d, allowed)
	if looks {
		c.stream(ctx, d, conn)
	} else {
		d.warn("stream", "this user may not look at it, and need not", "give doctor the observer's user for the rest")
	}
	c.processes(ctx, d, conn)
}

// meet connects, with the inbox of a role that this user may have answers in,
// and asks what else it may do. That is nil where the server does not say.
func (c *doctorCmd) meet(ctx context.Context) (conn *bus.Bus, allowed *bus.Allowed, err error) {
	roles := []bus.Role{bus.RoleObserver, bus.RoleAdmin, bus.RoleWriter, bus.RoleIngress}
	if c.Role != "" {
		roles = append([]bus.Role{bus.Role(c.Role)}, roles...)
	}
	for _, role := range roles {
		if conn != nil {
			conn.Close()
		}
		// What the connection logs is said by the checks.
		if conn, err = c.connectAs(role, "doctor", slog.New(slog.DiscardHandler)); err != nil {
			return nil, nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		allowed, err = conn.Allowed(ctx)
		cancel()
		var refused *bus.RefusedError
		if !errors.As(err, &refused) || !strings.HasPrefix(refused.Subject, "_INBOX.") {
			break
		}
	}
	return conn, allowed, nil
}

// natsAddress is the host and port of the server, the first of several.
func (c *doctorCmd) natsAddress() string {
	first, _, _ := strings.Cut(c.NATS, ",")
	if !strings.Contains(first, "://") {
		first = "nats://" + first
	}
	u, err := neturl.Parse(first)
	if err != nil || u.Host == "" {
		return bus.Redacted(first)
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "4222"))
}

// unmet says why there is no connection, as far as the first bytes tell that come
// from where NATS is to be.
func (c *doctorCmd) unmet(ctx context.Context, d *diagnosis, err error) {
	switch greeting, silent := c.greeting(ctx); {
	case silent:
		d.wrong("nats", c.natsAddress()+" accepts connections and says nothing: it hangs, or wants TLS first",
			"see the server's log, or restart it; where its tls block has handshake_first: true, set that to auto. If that is no NATS server, ss -ltnp says what it is")
	case greeting != "" && !strings.HasPrefix("INFO ", greeting):
		d.wrong("nats", fmt.Sprintf("what listens on %s is no NATS server: %v", c.natsAddress(), err), "find who has it with ss -ltnp, and choose another address with --nats-listen of the all-in-one; or name the server with --nats")
	default:
		d.wrong("nats", err.Error(), "start a nats-server there, or an all-in-one, which has one inside; or name it with --nats and its user with --nats-nkey or --nats-creds")
	}
}

// greeting is the first that comes from where NATS is to be. A NATS server speaks
// first; most others wait to be spoken to, and then complain. silent is whether
// something accepts connections and does neither: who wants TLS first hangs up.
func (c *doctorCmd) greeting(ctx context.Context) (greeting string, silent bool) {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", c.natsAddress())
	if err != nil {
		return "", false
	}
	defer conn.Close()
	if greeting, err = firstOf(conn); greeting != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
		return greeting, false
	}
	_, _ = io.WriteString(conn, "PING\r\n")
	greeting, _ = firstOf(conn)
	return greeting, greeting == ""
}

// firstOf reads as much as a NATS server's greeting is told by.
func firstOf(conn net.Conn) (string, error) {
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	first := make([]byte, len("INFO "))
	n, err := io.ReadFull(conn, first)
	return string(first[:n]), err
}

// permissions says which role this user may have, and what it lacks for the one
// that is asked for, or for the one that it is nearest to. looks is whether it
// may look at the stream.
func (c *doctorCmd) permissions(d *diagnosis, allowed *bus.Allowed) (looks bool) {
	if allowed == nil {
		d.warn("permissions", "the NATS server does not say what this user may do", "allow it to publish to $SYS.REQ.USER.INFO: piccolo auth prints what each role needs")
		return true
	}
	asked, lacks := bus.Role(c.Role), []*bus.RefusedError(nil)
	var may []string
	for _, role := range bus.Roles {
		missing := allowed.Lacks(role)
		if len(missing) == 0 {
			may = append(may, string(role))
		}
		share := func(n int, r bus.Role) float64 {
			p := r.Permissions()
			return float64(n) / float64(len(p.Publish)+len(p.Subscribe))
		}
		if role == asked || c.Role == "" && (asked == "" || share(len(missing), role) < share(len(lacks), asked)) {
			asked, lacks = role, missing
		}
	}
	for _, l := range lacks {
		d.wrong("permissions", fmt.Sprintf("this user may not %s to %q, as %s does", l.Verb, l.Subject, withArticle(asked)),
			"add that to the user's permissions: piccolo auth prints what each role needs. If it is another's user, say whose with --role")
	}
	if len(lacks) == 0 {
		d.ok("permissions", "this user may do all that is needed as %s", strings.Join(may, ", "))
	}
	return asked == bus.RoleObserver || asked == bus.RoleAdmin || slices.Contains(may, string(bus.RoleObserver))
}

func withArticle(r bus.Role) string {
	if r == bus.RoleWriter {
		return "a " + string(r)
	}
	return "an " + string(r)
}

func (c *doctorCmd) stream(ctx context.Context, d *diagnosis, conn *bus.Bus) {
	asked := time.Now()
	i, err := conn.Inspect(ctx)
	if err != nil {
		d.wrong("stream", err.Error(), "make it with piccolo stream init; if this user may not look at it, run piccolo auth for what each role needs")
		return
	}
	d.stream = i
	for _, departs := range i.Departs {
		says, fix, _ := strings.Cut(departs, "; ")
		d.wrong("stream", says, fix)
	}
	if len(i.Departs) == 0 {
		d.ok("stream", "%s with %s and %s is as it should be", i.Name, plural(i.Partitions, "partition", "partitions"), plural(i.Replicas, "replica", "replicas"))
	}
	if err := streamFinding(i.Bytes, i.MaxBytes); err != nil {
		d.warn("stream", err.Error(), fixes["stream"])
	}
	if err := backlogFinding(total(i)); err != nil {
		d.warn("backlog", err.Error(), fixes["backlog"])
	}
	for _, consumer := range i.Consumers {
		if consumer.Backlog() > 0 && consumer.Waiting == 0 {
			d.wrong("writer", fmt.Sprintf("partition %d has a backlog of %s and no writer reads it", consumer.Partition, plural(consumer.Backlog(), "batch", "batches")), "start one: piccolo writer")
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

// processes hears what every process reports of itself, and whether one says
// when the stream is fsynced, which only a server's owner knows.
func (c *doctorCmd) processes(ctx context.Context, d *diagnosis, conn *bus.Bus) {
	reports, stop, err := hear(conn)
	if err != nil {
		d.warn("processes", err.Error(), "allow this user to subscribe to piccolo.report.*: see piccolo auth")
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
	host, _ := os.Hostname()
	versions := make(map[string]bool)
	for _, r := range heard {
		versions[r.Version] = true
		if r.Host == host && r.Admin == "http://"+c.Admin {
			continue // that was asked already
		}
		if r.Unready != "" {
			d.wrong("processes", fmt.Sprintf("%s %s:%d is not ready, %s", r.Role, r.Host, r.PID, r.Unready), "piccolo doctor on its machine says more, as does its log")
		}
		if r.Warning != "" {
			d.warn("processes", fmt.Sprintf("%s %s:%d warns, %s", r.Role, r.Host, r.PID, r.Warning), "piccolo doctor on its machine says more")
		}
	}
	report := plural(len(heard), "reports", "report")
	switch {
	case len(heard) == 0:
		d.warn("processes", "none reports on this NATS server", "start one; or name the server that they use with --nats")
	case len(versions) > 1:
		d.warn("processes", fmt.Sprintf("%s, of %d versions", report, len(versions)), "bring all to one")
	default:
		d.ok("processes", "%s, of one version", report)
	}
	if mode == "" {
		d.warn("sync", "whether this NATS server fsyncs before it acknowledges cannot be seen from here; by default it does not, and a power cut loses increments", "set sync_interval: always in the jetstream block of its configuration")
		return
	}
	d.judge("sync", syncFinding(mode), "the stream is fsynced before each acknowledgement")
}
