package faults_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"math/rand/v2"
)

// network is a network namespace and the one wire to it.
type network struct {
	t          *testing.T
	name       string
	home, away string // addresses of the wire's ends
}

// newNetwork makes a network namespace, or returns nil where that cannot be: the
// rest of the test needs none.
func newNetwork(t *testing.T) *network {
	t.Helper()
	id := 1 + rand.IntN(250)
	n := &network{t: t, name: fmt.Sprintf("piccolo%d", id),
		home: fmt.Sprintf("10.213.%d.1", id), away: fmt.Sprintf("10.213.%d.2", id)}
	if err := n.ip("netns", "add", n.name); err != nil {
		return noNetwork(t, err)
	}
	t.Cleanup(func() {
		if err := n.ip("netns", "del", n.name); err != nil { // and the wire with it
			t.Error(err)
		}
	})
	for _, args := range []string{
		"link add " + n.wire("h") + " type veth peer name " + n.wire("a") + " netns " + n.name,
		"addr add " + n.home + "/24 dev " + n.wire("h"),
		"link set " + n.wire("h") + " up",
		"-n " + n.name + " addr add " + n.away + "/24 dev " + n.wire("a"),
		"-n " + n.name + " link set " + n.wire("a") + " up",
		"-n " + n.name + " link set lo up",
	} {
		if err := n.ip(strings.Fields(args)...); err != nil {
			return noNetwork(t, err)
		}
	}
	return n
}

func noNetwork(t *testing.T, err error) *network {
	t.Helper()
	if everyFault() {
		t.Fatalf("PICCOLO_EVERY_FAULT is set: a network namespace cannot be made here: %v", err)
	}
	t.Logf("skipped: no server is cut off, since a network namespace cannot be made here: %v", err)
	return nil
}

func (n *network) wire(end string) string { return n.name + end }

func (n *network) ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// wrap has a program run in the namespace.
func (n *network) wrap() []string { return []string{"ip", "netns", "exec", n.name} }

// cut takes the wire away, at the far end: the near end keeps its address.
func (n *network) cut() { n.set("down") }

// heal puts it back.
func (n *network) heal() { n.set("up") }

func (n *network) set(state string) {
	n.t.Helper()
	if err := n.ip("-n", n.name, "link", "set", n.wire("a"), state); err != nil {
		n.t.Fatal(err)
	}
}
