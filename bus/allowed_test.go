package bus_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/bus"
)

// Each role's user has all that its role needs, and lacks something of every
// other; but the admin may look, too.
func TestAllowed(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for _, as := range bus.Roles {
		a, err := g.as(t, as).Allowed(soon(t))
		if err != nil {
			t.Fatal(as, err)
		}
		for _, role := range bus.Roles {
			may := role == as || as == bus.RoleAdmin && role == bus.RoleObserver
			if lacks := a.Lacks(role); (len(lacks) == 0) != may {
				t.Errorf("the user of %s lacks of %s: %v", as, role, lacks)
			}
		}
	}
}

// Whoever is not restricted lacks nothing.
func TestAllowedEverything(t *testing.T) {
	t.Parallel()
	a, err := startServer(t).Allowed(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range bus.Roles {
		if lacks := a.Lacks(role); len(lacks) > 0 {
			t.Errorf("%s: %v", role, lacks)
		}
	}
}

// A subject that is missing is named, one by one for each that a role needs.
func TestLacksIsNamed(t *testing.T) {
	t.Parallel()
	for _, role := range bus.Roles {
		p := role.Permissions()
		for _, subject := range append(p.Publish, p.Subscribe...) {
			if subject == "$SYS.REQ.USER.INFO" || subject == "_INBOX."+string(role)+".>" {
				continue // or nothing can be asked
			}
			t.Run(string(role)+" "+subject, func(t *testing.T) {
				t.Parallel()
				a, err := guard(t, subject).as(t, role).Allowed(soon(t))
				if err != nil {
					t.Fatal(err)
				}
				lacks := a.Lacks(role)
				if len(lacks) == 0 {
					t.Fatal("nothing is missed")
				}
				for _, l := range lacks {
					if l.Subject != subject {
						t.Errorf("%s is missed", l.Subject)
					}
				}
			})
		}
	}
}

// What a server says in other words comes to the same: wider subjects, those
// that are denied, and answers to whoever asks.
func TestAllowedByOtherWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		permissions string
		lacks       string
	}{
		{`publish: ">", subscribe: ">"`, "[]"},
		{`publish: {allow: ["piccolo.>", "$JS.API.>", "$SYS.REQ.USER.*"]}, subscribe: ["_INBOX.>", "piccolo.*.*"]`, "[]"},
		{`publish: {deny: "piccolo.deltas.1"}`, "[publish piccolo.deltas.*]"},
		{`subscribe: {deny: "piccolo.report.*"}`, "[subscribe piccolo.report.*]"},
		{`publish: {deny: ["piccolo.query.1.>", "piccolo"]}`, "[]"},
		{`publish: {allow: ["piccolo.deltas.0", "piccolo.*", "piccolo.report.*", "piccolo.query.>", "$JS.API.STREAM.INFO.*", "$SYS.>"]}`, "[publish piccolo.deltas.*]"},
	} {
		t.Run(c.permissions, func(t *testing.T) {
			t.Parallel()
			url := runServer(t, fmt.Sprintf("authorization: {users: [{user: u, password: p, permissions: {%s}}]}\n", c.permissions))
			b, err := bus.Connect(bus.Remote{URL: "nats://u:p@" + strings.TrimPrefix(url, "nats://"), Role: bus.RoleIngress}, "test", quiet)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			a, err := b.Allowed(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, l := range a.Lacks(bus.RoleIngress) {
				got = append(got, l.Verb+" "+l.Subject)
			}
			if fmt.Sprint(got) != c.lacks {
				t.Errorf("lacks %v, want %v", got, c.lacks)
			}
		})
	}
}

// One who may answer whoever asks needs no subjects to answer on.
func TestAllowedResponses(t *testing.T) {
	t.Parallel()
	publish := slices.DeleteFunc(bus.RoleWriter.Permissions().Publish, func(s string) bool { return strings.HasPrefix(s, "_INBOX.") })
	for responses, want := range map[bool]int{true: 0, false: len(bus.Roles)} {
		url := runServer(t, fmt.Sprintf("authorization: {users: [{user: u, password: p, permissions: {publish: [\"%s\"], allow_responses: %t}}]}\n", strings.Join(publish, `", "`), responses))
		b, err := bus.Connect(bus.Remote{URL: "nats://u:p@" + strings.TrimPrefix(url, "nats://"), Role: bus.RoleWriter}, "test", quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		a, err := b.Allowed(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		if lacks := a.Lacks(bus.RoleWriter); len(lacks) != want {
			t.Errorf("allow_responses %t: lacks %v", responses, lacks)
		}
	}
}

// Who may not even ask is told so.
func TestAllowedCannotBeAsked(t *testing.T) {
	t.Parallel()
	if a, err := guard(t, "$SYS.REQ.USER.INFO").as(t, bus.RoleIngress).Allowed(soon(t)); err == nil {
		t.Errorf("%+v", a)
	}
}
