package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/piccolo-counter/piccolo/bus"
)

// authCmd gives each role a NATS user of its own, which may use the subjects it
// needs and no others.
type authCmd struct {
	Dir string `help:"Directory for the users' seeds, one file a role, which only their user may read. A seed that is there stays." type:"path" default:"./piccolo-nkeys" placeholder:"DIR"`
}

func (c *authCmd) Run(out output) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("%w: choose another directory with --dir", err)
	}
	users := make(map[bus.Role]string)
	for _, role := range bus.Roles {
		path := filepath.Join(c.Dir, string(role)+".nk")
		key, err := bus.UserKey(path)
		if err != nil {
			return err
		}
		users[role] = key
		fmt.Fprintf(out.stderr, "%-8s  --nats-nkey %s\n", role, path)
	}
	var b strings.Builder
	b.WriteString("# Users for Piccolo. Include this in the configuration of every nats-server.\n")
	b.WriteString(bus.Authorization(users))
	_, err := fmt.Fprint(out.stdout, b.String())
	return err
}
