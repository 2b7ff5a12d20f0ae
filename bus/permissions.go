package bus

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what a NATS user is there for.
type Role string

const (
	RoleIngress  Role = "ingress"
	RoleWriter   Role = "writer"
	RoleAdmin    Role = "admin"    // makes the stream and moves partitions
	RoleObserver Role = "observer" // looks at stream and writers
)

// Roles are all of them.
var Roles = []Role{RoleIngress, RoleWriter, RoleAdmin, RoleObserver}

// Inbox is where the answers to a user of the role come: users of another role
// cannot read them.
func (r Role) Inbox() string { return "_INBOX." + string(r) }

// Permissions are the subjects a role needs, no more.
type Permissions struct{ Publish, Subscribe []string }

// subjectUser is where the server tells a user what it may do.
const subjectUser = "$SYS.REQ.USER.INFO"

// Permissions returns the subjects that the role needs, and the one that tells
// which it has.
func (r Role) Permissions() Permissions {
	p := r.work()
	p.Publish = append(p.Publish, subjectUser)
	return p
}

// work are the subjects that the role does its work with.
func (r Role) work() Permissions {
	inbox := []string{r.Inbox() + ".>"}
	switch r {
	case RoleIngress:
		return Permissions{
			Publish:   []string{subjectDeltas + "*", subjectQuery + "*", subjectReport + "*", api("STREAM.INFO")},
			Subscribe: append(inbox, subjectApplied+"*", subjectReport+"*"),
		}
	case RoleWriter:
		p := Permissions{
			Publish: []string{
				api("STREAM.INFO"), api("STREAM.MSG.GET"), api("STREAM.PURGE"), api("DIRECT.GET"),
				// Newer servers put domain and account into the subject of an ack.
				"$JS.ACK." + Stream + ".>", "$JS.ACK.*.*." + Stream + ".>",
				subjectApplied + "*", subjectReport + "*",
			},
			Subscribe: append(inbox, subjectQuery+"*", subjectReport+"*", "$SRV.>"),
		}
		// To delete is for verify, whose own consumer is then gone at once.
		for _, request := range []string{"INFO", "RESET", "DELETE", "MSG.NEXT"} {
			p.Publish = append(p.Publish, api("CONSUMER."+request)+".*")
		}
		p.Publish = append(p.Publish, api("CONSUMER.CREATE")+".*."+subjectDeltas+"*")
		for _, asker := range Roles {
			p.Publish = append(p.Publish, asker.Inbox()+".>") // answers to queries
		}
		return p
	case RoleAdmin:
		return Permissions{
			Publish: []string{
				"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
				api("STREAM.*"), api("STREAM.*.*"), api("CONSUMER.*"), api("CONSUMER.*") + ".>", api("CONSUMER.*.*") + ".>",
				api("DIRECT.GET"), "$SRV.>", subjectQuery + "*",
			},
			Subscribe: append(inbox, RoleObserver.Inbox()+".>", subjectReport+"*"),
		}
	case RoleObserver:
		return Permissions{
			Publish: []string{
				"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
				api("STREAM.INFO"), api("STREAM.MSG.GET"), api("DIRECT.GET"),
				api("CONSUMER.INFO") + ".*", api("CONSUMER.NAMES"), api("CONSUMER.LIST"),
				"$SRV.>", subjectQuery + "*",
			},
			Subscribe: append(inbox, subjectReport+"*"),
		}
	}
	panic(fmt.Sprintf("no role %q", string(r)))
}

// Authorization is the block of a nats-server's configuration that makes a
// user of each role, by its public nkey.
func Authorization(users map[Role]string) string {
	var b strings.Builder
	b.WriteString("authorization {\n  users = [\n")
	for _, role := range Roles {
		key, ok := users[role]
		if !ok {
			continue
		}
		p := role.Permissions()
		fmt.Fprintf(&b, "    { # %s\n      nkey: %s\n      permissions: {\n", role, key)
		for _, list := range []struct {
			verb     string
			subjects []string
		}{{"publish", p.Publish}, {"subscribe", p.Subscribe}} {
			fmt.Fprintf(&b, "        %s: {\n          allow: [\n", list.verb)
			for _, subject := range slices.Sorted(slices.Values(list.subjects)) {
				fmt.Fprintf(&b, "            %q\n", subject)
			}
			b.WriteString("          ]\n        }\n")
		}
		b.WriteString("      }\n    }\n")
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}
