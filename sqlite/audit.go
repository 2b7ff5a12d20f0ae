package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/piccolo-counter/piccolo"
)

// Audit is what a database says of itself at one moment, and whether that adds
// up. Sums are modulo 2^64.
type Audit struct {
	Database      string // its id
	Numbers       int64  // rows
	Sum           int64  // of the numbers' values
	Quarantined   int64  // rows
	QuarantineSum int64
	LedgerSum     int64
	Batches       uint64
	Increments    uint64
	Rejected      int64 // rows
	Accounts      map[piccolo.Origin]piccolo.Account
	Positions     map[int]piccolo.Position

	Unread    bool     // the file is damaged where something above stands, or below
	Schema    []string // how it is not this program's
	Integrity []string // what SQLite finds wrong with the file
	Ledger    []string // what the ledger says that cannot be
	Sums      []string // what does not add up
}

// Audit reads all of the database and checks it. The integrity of the file is
// looked at beside it, when full is set; that reads every page, and is of a
// moment shortly after.
func (r *Reader) Audit(ctx context.Context, full bool) (*Audit, error) {
	a := &Audit{Accounts: make(map[piccolo.Origin]piccolo.Account), Positions: make(map[int]piccolo.Position)}
	err := a.schema(ctx, r.db)
	if err == nil && len(a.Schema) == 0 { // or the queries would fail
		err = a.snapshot(ctx, r.db)
	}
	a.Unread = isDamaged(err)
	if err = a.damaged(err); err == nil && full {
		err = a.damaged(a.integrity(ctx, r.db))
	}
	if err != nil {
		return nil, explain(err)
	}
	return a, nil
}

// damaged takes an error that says that the file is damaged for a finding, and
// returns any other.
func (a *Audit) damaged(err error) error {
	if !isDamaged(err) {
		return err
	}
	a.Integrity = append(a.Integrity, strings.Split(err.Error(), "\n")...)
	return nil
}

// snapshot reads everything in one transaction, so that it is of one commit.
func (a *Audit) snapshot(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is written
	return errors.Join(a.identity(ctx, tx), a.sums(ctx, tx), a.ledger(ctx, tx), a.quarantine(ctx, tx), a.positions(ctx, tx))
}

// wrapped counts a table's rows and sums a column modulo 2^64.
func wrapped(ctx context.Context, tx *sql.Tx, table, column string) (rows, sum int64, err error) {
	var high, low int64
	err = tx.QueryRowContext(ctx, "SELECT count(*), "+fmt.Sprintf(halves, column)+" FROM "+table).Scan(&rows, &high, &low)
	return rows, high<<32 + low, err
}

func (a *Audit) identity(ctx context.Context, tx *sql.Tx) error {
	return tx.QueryRowContext(ctx, "SELECT id FROM identity").Scan(&a.Database)
}

func (a *Audit) sums(ctx context.Context, tx *sql.Tx) (err error) {
	if a.Numbers, a.Sum, err = wrapped(ctx, tx, "numbers", "value"); err != nil {
		return err
	}
	if a.Quarantined, a.QuarantineSum, err = wrapped(ctx, tx, "quarantine", "value"); err != nil {
		return err
	}
	if _, a.LedgerSum, err = wrapped(ctx, tx, "ledger", "sum"); err != nil {
		return err
	}
	if difference := a.Sum + a.QuarantineSum - a.LedgerSum; difference != 0 {
		a.Sums = append(a.Sums, fmt.Sprintf("numbers sum to %d and the quarantine to %d, the ledger says %d: the difference is %+d", a.Sum, a.QuarantineSum, a.LedgerSum, difference))
	}
	return tx.QueryRowContext(ctx, "SELECT count(*) FROM rejected").Scan(&a.Rejected)
}

func (a *Audit) ledger(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT producer, "partition", watermark, above, batches, increments, sum FROM ledger`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			o          piccolo.Origin
			account    piccolo.Account
			watermark  int64
			above      string
			batches    int64
			increments int64 // modulo 2^64
		)
		if err := rows.Scan(&o.Producer, &o.Partition, &watermark, &above, &batches, &increments, &account.Sum); err != nil {
			return err
		}
		account.Batches, account.Increments = uint64(batches), uint64(increments)
		account.Seqs, err = piccolo.ParseSeqSet(uint64(max(watermark, 0)), above)
		switch folded := account.Seqs.Count(); {
		case err != nil || watermark < 0:
			a.Ledger = append(a.Ledger, fmt.Sprintf("producer %s, partition %d: watermark %d with %q above is no set of seqs", o.Producer, o.Partition, watermark, above))
		case folded != account.Batches:
			a.Ledger = append(a.Ledger, fmt.Sprintf("producer %s, partition %d: its seqs are those of %d batches, and %d are said to have been folded", o.Producer, o.Partition, folded, account.Batches))
		}
		a.Batches += account.Batches
		a.Increments += account.Increments
		a.Accounts[o] = account
	}
	return rows.Err()
}

// quarantine finds keys that should have left it: their true total fits.
func (a *Audit) quarantine(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT q.key, q.value, coalesce(n.value, 0), n.key IS NOT NULL
		FROM quarantine q LEFT JOIN numbers n USING (key) ORDER BY q.key`)
	if err != nil {
		return err
	}
	defer rows.Close()
	totals := make(map[string]*big.Int)
	for rows.Next() {
		var (
			key         string
			held, value int64
			counted     bool
		)
		if err := rows.Scan(&key, &held, &value, &counted); err != nil {
			return err
		}
		if totals[key] == nil {
			totals[key] = big.NewInt(value)
			if !counted {
				a.Sums = append(a.Sums, fmt.Sprintf("key %q is in the quarantine and has no number", key))
			}
		}
		totals[key].Add(totals[key], big.NewInt(held))
	}
	for key, total := range totals {
		if total.IsInt64() {
			a.Sums = append(a.Sums, fmt.Sprintf("key %q is in the quarantine, though its total of %s fits into its value", key, total))
		}
	}
	slices.Sort(a.Sums)
	return rows.Err()
}

func (a *Audit) positions(ctx context.Context, tx *sql.Tx) (err error) {
	a.Positions, err = positions(ctx, tx)
	return err
}

// integrity has SQLite check every page, index and type.
func (a *Audit) integrity(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check(20)")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			a.Integrity = append(a.Integrity, line)
		}
	}
	return rows.Err()
}

// schema compares the database's tables and indexes with those that this
// program makes. Others may be there: they are somebody's own.
func (a *Audit) schema(ctx context.Context, db *sql.DB) error {
	model, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer model.Close()
	model.SetMaxOpenConns(1) // every connection has a memory of its own
	if _, err := model.ExecContext(ctx, schema); err != nil {
		return err
	}
	want, err := definitions(ctx, model)
	if err != nil {
		return err
	}
	have, err := definitions(ctx, db)
	if err != nil {
		return err
	}
	for name, definition := range want {
		switch got, ok := have[name]; {
		case !ok:
			a.Schema = append(a.Schema, name+" is missing")
		case got != definition:
			a.Schema = append(a.Schema, fmt.Sprintf("%s is %s, not %s", name, got, definition))
		}
	}
	slices.Sort(a.Schema)
	return nil
}

var (
	sqlComment = regexp.MustCompile(`--[^\n]*`)
	sqlSpace   = regexp.MustCompile(`\s+`)
)

// definitions are the SQL of tables and indexes, by what they are and are called,
// without comments.
func definitions(ctx context.Context, db *sql.DB) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[string]string)
	for rows.Next() {
		var name, definition string
		if err := rows.Scan(&name, &definition); err != nil {
			return nil, err
		}
		definition = sqlComment.ReplaceAllString(definition, "")
		all[name] = strings.TrimSpace(sqlSpace.ReplaceAllString(definition, " "))
	}
	return all, rows.Err()
}

// Accounts reads identity, ledger and positions alone, of one moment.
func (r *Reader) Accounts(ctx context.Context) (*Audit, error) {
	a := &Audit{Accounts: make(map[piccolo.Origin]piccolo.Account)}
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, explain(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing is written
	return a, explain(errors.Join(a.identity(ctx, tx), a.ledger(ctx, tx), a.positions(ctx, tx)))
}
