package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"math"

	"github.com/piccolo-counter/piccolo"
)

//go:embed schema.sql
var schema string

const (
	applicationID = 0x50494343 // "PICC": file(1) and piccolo itself know it by that
	schemaVersion = 1
)

// migrate brings the database to the schema of this program, in one
// transaction: from nothing, or from the table of the service's ancestor.
func migrate(ctx context.Context, conn *sql.Conn) error {
	if done, err := hasSchema(ctx, conn); done || err != nil {
		return err
	}
	var tables int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").Scan(&tables); err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	if tables > 0 {
		err = adopt(ctx, tx)
	} else {
		_, err = tx.ExecContext(ctx, schema)
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, schemaVersion))
	if err != nil {
		return err
	}
	return tx.Commit()
}

// hasSchema says whether the database has the schema of this program. A newer
// one is an error.
func hasSchema(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (bool, error) {
	var app, version int
	for pragma, v := range map[string]*int{"application_id": &app, "user_version": &version} {
		if err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(v); err != nil {
			return false, err
		}
	}
	switch {
	case app == 0:
		return false, nil
	case app != applicationID:
		return false, fmt.Errorf("this is another program's database: its application_id is %#x", app)
	case version > schemaVersion:
		return false, fmt.Errorf("the schema has version %d, this program knows up to %d: run a newer piccolo", version, schemaVersion)
	}
	return true, nil
}

// adopt takes over the ancestor's numbers(key TEXT, value INTEGER DEFAULT 0).
// It would have stored anything in either column; what is no number under a
// key is refused by name, since dropping it is not ours to decide.
func adopt(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "SELECT name FROM pragma_table_info('numbers') ORDER BY name")
	if err != nil {
		return err
	}
	var columns []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return errors.Join(err, rows.Close())
		}
		columns = append(columns, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if len(columns) != 2 || columns[0] != "key" || columns[1] != "value" {
		return errors.New("this is another program's database: it holds tables, but no numbers(key, value)")
	}
	var key, value string
	err = tx.QueryRowContext(ctx, `SELECT quote(key), quote(value) FROM numbers
		WHERE typeof(key) <> 'text' OR key = '' OR typeof(value) NOT IN ('integer', 'null') LIMIT 1`).Scan(&key, &value)
	switch {
	case err == nil:
		return fmt.Errorf("cannot migrate: numbers holds key %s with value %s, which is no text with an integer: correct or delete that row first", key, value)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	if err := checkKeys(ctx, tx); err != nil {
		return err
	}
	for _, q := range []string{
		"ALTER TABLE numbers RENAME TO ancestor",
		schema,
		"INSERT INTO numbers SELECT key, coalesce(value, 0) FROM ancestor ORDER BY key",
		// What is in the numbers is in the ledger, as one batch of a producer
		// of that name. The halves wrap around as the ledger's sums do.
		`INSERT INTO ledger (producer, "partition", watermark, above, batches, increments, sum, skipped)
			SELECT 'ancestor', 0, 1, '', 1, n, CASE WHEN high >= 0x80000000 THEN high - 0x100000000 ELSE high END << 32 | low, 0 FROM (
				SELECT n, (high + (low >> 32)) & 0xffffffff AS high, low & 0xffffffff AS low FROM (
					SELECT count(*) AS n, sum(value >> 32) AS high, sum(value & 0xffffffff) AS low FROM numbers) WHERE n > 0)`,
		"DROP TABLE ancestor",
	} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return nil
}

// checkKeys finds a key that no request could name. How long one may be is a
// setting.
func checkKeys(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "SELECT key FROM numbers")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key sql.RawBytes
		if err := rows.Scan(&key); err != nil {
			return err
		}
		if err := piccolo.CheckKey([]byte(key), math.MaxInt); err != nil {
			return fmt.Errorf("cannot migrate: numbers holds key %q, which %w: correct or delete that row first", key, err)
		}
	}
	return rows.Err()
}
