package main

import (
	"context"
	"errors"
	"os/signal"
	"syscall"

	"github.com/piccolo-counter/piccolo/sqlite"
)

// dbCheckCmd checks what the database says by itself: of a service that runs, of
// one that does not, or of a backup.
type dbCheckCmd struct {
	dataFlags `embed:""`
	dbFlag    `embed:""`

	JSON bool `name:"json" help:"Print JSON."`
}

func (c *dbCheckCmd) Run(out output) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	reader, err := sqlite.OpenReader(ctx, c.dbPath(c.dataFlags))
	v := &verdict{OK: true}
	if errors.Is(err, sqlite.ErrDamaged) {
		v.damaged([]string{err.Error()})
		return v.finish(out, c.JSON)
	}
	if err != nil {
		return whichDatabase(err)
	}
	defer reader.Close()
	a, err := reader.Audit(ctx, true)
	if err != nil {
		return err
	}
	v.database(a, true)
	return v.finish(out, c.JSON)
}
