package client

import (
	"errors"
	"fmt"
)

// maxUntold bounds what is kept of errors that nobody asks for.
const maxUntold = 16

// untold are errors that nobody was told of yet: the first of them, and how many
// came behind.
type untold struct {
	first []error
	more  int
}

func (u *untold) add(err error) {
	if len(u.first) == maxUntold {
		u.more++
		return
	}
	u.first = append(u.first, err)
}

// take is all of them as one error, nil where there are none, and forgets them.
func (u *untold) take() error {
	errs := u.first
	if u.more > 0 {
		errs = append(errs, fmt.Errorf("and %d more", u.more))
	}
	*u = untold{}
	return errors.Join(errs...)
}
