package ingress

import (
	"bytes"
	"errors"
)

// role is a set of what a token lets its bearer do.
type role uint8

const (
	roleIncrement role = 1 << iota
	roleRead
	roleAdmin
)

// String is the role's name in the file and in refusals, of one role.
func (r role) String() string {
	switch r {
	case roleIncrement:
		return "increment"
	case roleRead:
		return "read"
	default:
		return "admin"
	}
}

// parseRoles reads roles that are separated by commas. The error does not show
// them: where the two words of a line are swapped, they are a token.
func parseRoles(list []byte) (roles role, err error) {
	for name := range bytes.SplitSeq(list, []byte{','}) {
		switch string(name) {
		case "increment":
			roles |= roleIncrement
		case "read":
			roles |= roleRead
		case "admin":
			roles |= roleIncrement | roleRead | roleAdmin
		default:
			return 0, errors.New("a role is none of increment, read, admin; roles come first, separated by commas without blanks")
		}
	}
	return roles, nil
}
