package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/piccolo-counter/piccolo/sqlite"
)

type dbCmd struct {
	Backup dbBackupCmd `cmd:"" help:"Copy the database, as it is at this moment, while the service runs."`
	Check  dbCheckCmd  `cmd:"" help:"Check that the database is whole and adds up."`
}

type dbBackupCmd struct {
	dataFlags `embed:""`
	dbFlag    `embed:""`

	Path string `arg:"" help:"The new file." type:"path" placeholder:"PATH"`
}

func (c *dbBackupCmd) Run(out output) error {
	// Else the copy's missing directory would be taken for a missing database.
	if dir := filepath.Dir(c.Path); missing(dir) {
		return fmt.Errorf("backup to %s: there is no directory %s: make it first, or choose another path", c.Path, dir)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	info, err := sqlite.Backup(ctx, c.dbPath(c.dataFlags), c.Path)
	if err != nil {
		return whichDatabase(err)
	}
	_, err = fmt.Fprintf(out.stdout, "%s: database %s with %d numbers, %s, checked\n",
		c.Path, info.Database, info.Numbers, bytesText(info.Bytes))
	return err
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}
