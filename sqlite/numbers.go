package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"modernc.org/sqlite"

	"github.com/piccolo-counter/piccolo"
)

func init() {
	// partition_of(key, n) places a key as the rest of the service does.
	sqlite.MustRegisterDeterministicScalarFunction("partition_of", 2,
		func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			key, ok := args[0].(string)
			n, ok2 := args[1].(int64)
			if !ok || !ok2 || n < 1 {
				return nil, errors.New("partition_of wants a key and a count")
			}
			return int64(piccolo.Partition(piccolo.Hash(key), int(n))), nil
		})
}

// Values reads the committed numbers of keys, in the order of the keys' bytes.
// A key that was never counted is left out.
func (r *Reader) Values(ctx context.Context, keys []string) ([]piccolo.Number, error) {
	args := make([]any, len(keys))
	for i, key := range keys {
		args[i] = key
	}
	numbers, _, err := r.numbers(ctx, len(keys), "SELECT key, value FROM numbers WHERE key IN ("+placeholders("?", len(keys))+") ORDER BY key", args...)
	return numbers, err
}

// Page reads a page of the committed numbers of some partitions, and whether
// there are more behind it. By key it costs as much as it has rows, wherever it
// starts; by value it looks at every number with the prefix.
func (r *Reader) Page(ctx context.Context, p *piccolo.Page, partitions []int) (numbers []piccolo.Number, more bool, err error) {
	var where []string
	var args []any
	from, open, to := p.Bounds()
	switch {
	case open:
		where, args = append(where, "key > ?"), append(args, from)
	case from != "":
		where, args = append(where, "key >= ?"), append(args, from)
	}
	if to != "" {
		where, args = append(where, "key < ?"), append(args, to)
	}
	if p.Of > len(partitions) { // or all of them are this reader's
		where, args = append(where, "partition_of(key, ?) IN ("+list(partitions)+")"), append(args, p.Of)
	}
	query := "SELECT key, value FROM numbers"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	order := " ORDER BY key"
	if p.ByValue {
		order = " ORDER BY value DESC, key"
	}
	limit := max(1, min(p.Limit, piccolo.MaxPage))
	return r.numbers(ctx, limit, query+order+" LIMIT ?", append(args, limit+1)...)
}

// numbers reads up to limit rows, and whether there was one more.
func (r *Reader) numbers(ctx context.Context, limit int, query string, args ...any) (numbers []piccolo.Number, more bool, err error) {
	rows, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, false, explain(err)
	}
	defer rows.Close()
	bytes := 0
	for rows.Next() {
		var key sql.RawBytes
		var value int64
		if err := rows.Scan(&key, &value); err != nil {
			return nil, false, fmt.Errorf("read the numbers: %w", err)
		}
		if bytes += len(key); len(numbers) == limit || bytes > piccolo.MaxPageBytes && len(numbers) > 0 {
			return numbers, true, nil
		}
		numbers = append(numbers, piccolo.Number{Key: string(key), Value: value})
	}
	return numbers, false, explain(rows.Err())
}

func list(numbers []int) string {
	var b []byte
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(b)
}
