package bus_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

// guarded is a server that lets in whom piccolo auth's block names, and lets
// them do what it says.
type guarded struct {
	url  string
	seed func(bus.Role) string // file
}

// guard runs a server with users of all roles, each without the subjects in
// without.
func guard(t *testing.T, without ...string) *guarded {
	t.Helper()
	dir := t.TempDir()
	g := &guarded{seed: func(r bus.Role) string { return filepath.Join(dir, string(r)) }}
	users := make(map[bus.Role]string)
	for _, role := range bus.Roles {
		key, err := bus.UserKey(g.seed(role))
		if err != nil {
			t.Fatal(err)
		}
		users[role] = key
	}
	block := bus.Authorization(users)
	for _, subject := range without {
		line := fmt.Sprintf("            %q\n", subject)
		if !strings.Contains(block, line) {
			t.Fatalf("nobody has a permission for %s", subject)
		}
		block = strings.ReplaceAll(block, line, "")
	}
	g.url = runServer(t, block)
	return g
}

// as connects as a user of a role.
func (g *guarded) as(t *testing.T, role bus.Role) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Remote{URL: g.url, NKey: g.seed(role), Role: role}, "test", quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Each role can do all that it is there for, with the permissions it is given.
func TestEachRoleHasWhatItNeeds(t *testing.T) {
	t.Parallel()
	g := guard(t)
	if _, err := g.as(t, bus.RoleAdmin).Provision(soon(t), options); err != nil {
		t.Fatal(err)
	}
	ingress, writer := g.as(t, bus.RoleIngress), g.as(t, bus.RoleWriter)
	if n, err := ingress.Partitions(soon(t)); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := ingress.MaxMessage(soon(t)); err != nil {
		t.Fatal(err)
	}
	applied := make(chan piccolo.Applied, 1)
	if _, err := ingress.Applied("p", func(a piccolo.Applied) { applied <- a }); err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(3) {
		if err := ingress.Publish(soon(t), message(1, seq+1, "foo", 1)); err != nil {
			t.Fatal(err)
		}
	}

	writer.Own("database", false)
	r := &rig{Bus: writer}
	c, stop := r.subscribe(t, 1)
	next(t, c, 3)
	stop()
	c, stop = r.subscribe(t, 1) // resets, since nothing was acked
	for _, d := range next(t, c, 3) {
		if err := d.Acker.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "acked", func() bool {
		state, err := writer.State(soon(t), 1)
		return err == nil && state.AckFloor == 3
	})
	stop()
	if seq, err := writer.Next(soon(t), 1, 2); seq != 2 || err != nil {
		t.Error(seq, err)
	}
	followed := make(chan piccolo.Delivery, 3)
	stopFollowing, err := writer.Follow(soon(t), func(d piccolo.Delivery) { followed <- d }) // as piccolo verify does
	if err != nil {
		t.Fatal(err)
	}
	next(t, followed, 3)
	stopFollowing()
	if gaps, err := writer.Gaps(soon(t)); len(gaps) > 0 || err != nil {
		t.Error(gaps, err)
	}
	for _, role := range []bus.Role{bus.RoleObserver, bus.RoleAdmin} {
		if at, err := g.as(t, role).Stored(soon(t), 1, 1); at.IsZero() || err != nil {
			t.Errorf("%s: %s, %v", role, at, err)
		}
	}
	if err := writer.Rewind(soon(t), 1); err != nil {
		t.Error(err)
	}
	if err := writer.Trim(soon(t), 1, 3); err != nil {
		t.Error(err)
	}
	if _, err := writer.Serve(1, "1.0.0", func(context.Context, piccolo.Query) (piccolo.Answer, error) {
		return piccolo.Answer{FreshnessMS: 42}, nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, role := range []bus.Role{bus.RoleIngress, bus.RoleObserver, bus.RoleAdmin} {
		if a, err := g.as(t, role).Query(soon(t), 1, piccolo.Query{}); a.FreshnessMS != 42 || err != nil {
			t.Errorf("%s: %+v, %v", role, a, err)
		}
	}
	if err := writer.Announce(&piccolo.Applied{Producer: "p", Partition: 1, Seqs: []uint64{1}}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-applied:
	case <-soon(t).Done():
		t.Error("no notice came")
	}
	reports := make(chan piccolo.Report, 1)
	if _, err := ingress.Reports("", func(r piccolo.Report) { reports <- r }); err != nil {
		t.Fatal(err)
	}
	if _, err := ingress.Partitions(soon(t)); err != nil { // and the server has the subscription
		t.Fatal(err)
	}
	if err := writer.Report(&piccolo.Report{ID: "w"}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-reports:
	case <-soon(t).Done():
		t.Error("no report came")
	}
	if i, err := g.as(t, bus.RoleObserver).Inspect(soon(t)); err != nil || len(i.Consumers) != 3 {
		t.Errorf("%+v, %v", i, err)
	}
	for name, b := range map[string]*bus.Bus{"ingress": ingress, "writer": writer} {
		if err := b.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A permission that is missing is an error that names the subject and what to
// do, at once, and not a deadline that passed.
func TestMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	subscribe := func(t *testing.T, b *bus.Bus) error {
		_, err := b.Subscribe(soon(t), 1, drop, func(error) {})
		return err
	}
	follow := func(t *testing.T, b *bus.Bus) error {
		_, err := b.Follow(soon(t), drop)
		return err
	}
	trim := func(t *testing.T, b *bus.Bus) error { return b.Trim(soon(t), 1, 1) }
	for _, c := range []struct {
		role    bus.Role
		without string // permission; where there is none, the role has none
		refused string // subject, where it is another
		do      func(*testing.T, *bus.Bus) error
	}{
		{role: bus.RoleAdmin, without: "$JS.API.STREAM.*.PICCOLO", refused: "$JS.API.STREAM.INFO.PICCOLO",
			do: func(t *testing.T, b *bus.Bus) error { _, err := b.Provision(soon(t), options); return err }},
		{role: bus.RoleIngress, without: "$JS.API.STREAM.INFO.PICCOLO",
			do: func(t *testing.T, b *bus.Bus) error { _, err := b.Partitions(soon(t)); return err }},
		{role: bus.RoleIngress, without: "$JS.API.STREAM.INFO.PICCOLO",
			do: func(t *testing.T, b *bus.Bus) error { _, err := b.MaxMessage(soon(t)); return err }},
		{role: bus.RoleIngress, without: "_INBOX.ingress.>", refused: "_INBOX.ingress.",
			do: func(t *testing.T, b *bus.Bus) error { _, err := b.Partitions(soon(t)); return err }},
		{role: bus.RoleIngress, without: "piccolo.deltas.*", refused: "piccolo.deltas.1",
			do: func(t *testing.T, b *bus.Bus) error { return b.Publish(soon(t), message(1, 1, "foo", 1)) }},
		{role: bus.RoleIngress, without: "piccolo.query.*", refused: "piccolo.query.1",
			do: func(t *testing.T, b *bus.Bus) error { _, err := b.Query(soon(t), 1, piccolo.Query{}); return err }},
		{role: bus.RoleIngress, without: "piccolo.applied.*", refused: "piccolo.applied.p",
			do: func(_ *testing.T, b *bus.Bus) error {
				_, err := b.Applied("p", func(piccolo.Applied) {})
				return err
			}},
		{role: bus.RoleIngress, without: "piccolo.report.*",
			do: func(_ *testing.T, b *bus.Bus) error { _, err := b.Reports("", func(piccolo.Report) {}); return err }},
		{role: bus.RoleAdmin, without: "piccolo.report.*",
			do: func(_ *testing.T, b *bus.Bus) error { _, err := b.Reports("", func(piccolo.Report) {}); return err }},
		{role: bus.RoleObserver, without: "$JS.API.STREAM.MSG.GET.PICCOLO",
			do: func(t *testing.T, b *bus.Bus) error { _, err := b.Stored(soon(t), 1, 1); return err }},
		{role: bus.RoleObserver, without: "$JS.API.STREAM.INFO.PICCOLO",
			do: func(t *testing.T, b *bus.Bus) error { _, err := b.Stored(soon(t), 1, 1); return err }},
		{role: bus.RoleObserver, refused: "$JS.API.CONSUMER.CREATE.PICCOLO.", do: follow},
		{role: bus.RoleWriter, without: "$JS.API.CONSUMER.CREATE.PICCOLO.*.piccolo.deltas.*", refused: "$JS.API.CONSUMER.CREATE.PICCOLO.", do: follow},
		{role: bus.RoleWriter, without: "$JS.API.STREAM.INFO.PICCOLO",
			do: func(t *testing.T, b *bus.Bus) error { _, err := b.Gaps(soon(t)); return err }},
		{role: bus.RoleWriter, without: "$JS.API.CONSUMER.INFO.PICCOLO.*", refused: "$JS.API.CONSUMER.INFO.PICCOLO.writer-1", do: subscribe},
		{role: bus.RoleWriter, without: "$JS.API.CONSUMER.CREATE.PICCOLO.*.piccolo.deltas.*",
			refused: "$JS.API.CONSUMER.CREATE.PICCOLO.writer-1.piccolo.deltas.1", do: subscribe},
		{role: bus.RoleWriter, without: "$JS.API.STREAM.INFO.PICCOLO", do: subscribe},
		{role: bus.RoleWriter, without: "$JS.API.STREAM.INFO.PICCOLO", do: trim},
		{role: bus.RoleWriter, without: "$JS.API.STREAM.PURGE.PICCOLO", do: trim},
		{role: bus.RoleWriter, without: "$JS.API.CONSUMER.RESET.PICCOLO.*", refused: "$JS.API.CONSUMER.RESET.PICCOLO.writer-1",
			do: func(t *testing.T, b *bus.Bus) error { return b.Rewind(soon(t), 1) }},
		{role: bus.RoleWriter, without: "piccolo.query.*", refused: "piccolo.query.1",
			do: func(_ *testing.T, b *bus.Bus) error {
				_, err := b.Serve(1, "1.0.0", func(context.Context, piccolo.Query) (piccolo.Answer, error) { return piccolo.Answer{}, nil })
				return err
			}},
	} {
		if c.refused == "" {
			c.refused = c.without
		}
		t.Run(string(c.role)+" without "+c.without, func(t *testing.T) {
			t.Parallel()
			var without []string
			if c.without != "" {
				without = append(without, c.without)
			}
			g := guard(t, without...)
			if !strings.HasPrefix(c.without, "$JS.API.STREAM.*") {
				if _, err := g.as(t, bus.RoleAdmin).Provision(soon(t), options); err != nil {
					t.Fatal(err)
				}
			}
			b := g.as(t, c.role)
			err := c.do(t, b)
			var refused *bus.RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("got error %v, want a refusal", err)
			}
			if !strings.HasPrefix(refused.Subject, c.refused) {
				t.Errorf("%q is named, want %q", refused.Subject, c.refused)
			}
			if !strings.Contains(err.Error(), "piccolo auth") {
				t.Errorf("%q does not say what to do", err)
			}
			if err := b.Check(t.Context()); !errors.As(err, &refused) {
				t.Errorf("Check: got error %v, want the refusal", err)
			}
		})
	}
}

// What nobody waits for, a pull or an ack, shows in the health.
func TestMissingPermissionShowsInTheHealth(t *testing.T) {
	t.Parallel()
	for _, without := range []string{"$JS.API.CONSUMER.MSG.NEXT.PICCOLO.*", "$JS.ACK"} {
		t.Run(without, func(t *testing.T) {
			t.Parallel()
			subjects := []string{without}
			if without == "$JS.ACK" {
				subjects = []string{"$JS.ACK.*.*.PICCOLO.>", "$JS.ACK.PICCOLO.>"}
			}
			g := guard(t, subjects...)
			if _, err := g.as(t, bus.RoleAdmin).Provision(soon(t), options); err != nil {
				t.Fatal(err)
			}
			if err := g.as(t, bus.RoleIngress).Publish(soon(t), message(1, 1, "foo", 1)); err != nil {
				t.Fatal(err)
			}
			writer := g.as(t, bus.RoleWriter)
			c, _ := (&rig{Bus: writer}).subscribe(t, 1)
			if without == "$JS.ACK" {
				if err := next(t, c, 1)[0].Acker.Ack(); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "the health names it", func() bool {
				var refused *bus.RefusedError
				return errors.As(writer.Check(t.Context()), &refused) && strings.HasPrefix(refused.Subject, strings.TrimSuffix(without, ".*"))
			})
		})
	}
}

// One who is none of the users is told so.
func TestStrangerIsRefused(t *testing.T) {
	t.Parallel()
	g := guard(t)
	stranger := filepath.Join(t.TempDir(), "stranger")
	if _, err := bus.UserKey(stranger); err != nil {
		t.Fatal(err)
	}
	_, err := bus.Connect(bus.Remote{URL: g.url, NKey: stranger, Role: bus.RoleWriter}, "test", quiet)
	if err == nil || !strings.Contains(err.Error(), "does not let in the user of "+stranger) {
		t.Errorf("got error %v", err)
	}
}
