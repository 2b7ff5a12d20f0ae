package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// growthCmd shows what grows with what, one thing at a time.
type growthCmd struct {
	MaxKeys int `help:"The most distinct keys." default:"10000000"`
	MaxRows int `help:"The largest table." default:"10000000"`
}

// A curve is what a dimension does to the CPU of an increment, and to memory.
type curve struct {
	name, x string
	at      []int
	run     func(at int) subject
}

func (c *growthCmd) Run(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	curves := []curve{
		{"keys", "distinct keys, NDJSON by 1,000, memory", upTo(1000, c.MaxKeys), func(keys int) subject {
			return b.allInOne(scattered(8, keys, 1000), "--max-keys", strconv.Itoa(2*keys), "--stream-max-bytes", "8GiB")
		}},
		{"connections", "connections", []int{1, 4, 16, 64, 256, 1000, 4000, 10_000}, func(n int) subject {
			return b.allInOne(singles(n, b.Keys, keySize, "stored"))
		}},
		{"partitions", "partitions", []int{1, 2, 4, 8, 16}, func(n int) subject {
			return b.allInOne(singles(b.Connections, b.Keys, keySize, "stored"), "--partitions", strconv.Itoa(n))
		}},
		{"bytes", "bytes of a key", []int{14, 32, 64, 128, 256, 500}, func(n int) subject {
			return b.allInOne(singles(b.Connections, b.Keys, n, "stored"))
		}},
	}
	var t strings.Builder
	plots := make(map[string]string)
	for _, k := range curves {
		cpu, rss := series{name: "CPU, µs"}, series{name: "memory, MiB"}
		fmt.Fprintf(&t, "| %s | increments/s | CPU/increment | memory | in SQLite at the end |\n|---:|---:|---:|---:|---:|\n", k.x)
		for _, at := range k.at {
			fmt.Fprintf(os.Stderr, "%s: %d\n", k.x, at)
			r, err := b.measure(k.run(at))
			if err != nil {
				// A load may be more than the machine can make.
				fmt.Fprintln(os.Stderr, "skipped:", err)
				fmt.Fprintf(&t, "| %s | not measured | | | |\n", thousands(float64(at)))
				continue
			}
			fmt.Fprintf(&t, "| %s | %s | %s | %d MiB | %.0f %% |\n", thousands(float64(at)), thousands(r.increments), micro(r.cpu), r.rss>>10, 100*r.folded)
			cpu.points = append(cpu.points, point{float64(at), r.cpu / 1000})
			rss.points = append(rss.points, point{float64(at), float64(r.rss) / 1024})
		}
		file := "growth-" + k.name + ".svg"
		plots[file] = chart{title: "One increment, by " + k.x, x: k.x, y: "CPU of the server, µs; memory, MiB", logX: true, logY: true,
			series: []series{cpu, rss}}.svg()
		fmt.Fprintf(&t, "\n![%s](%s)\n\n", k.x, file)
	}
	rows, err := c.rows(b)
	if err != nil {
		return err
	}
	fmt.Fprintf(&t, "| rows of the table | per row, commits of 1,000 | of 10,000 |\n|---:|---:|---:|\n")
	for i, p := range rows[0].points {
		fmt.Fprintf(&t, "| %s | %.1f µs | %.1f µs |\n", thousands(p.x), p.y, rows[1].points[i].y)
	}
	plots["growth-rows.svg"] = chart{title: "One row of a commit, by the size of the table", x: "rows", y: "µs", logX: true, series: rows}.svg()
	fmt.Fprintf(&t, "\n![rows](growth-rows.svg)\n")
	return b.publish("growth", t.String(), plots)
}

// upTo returns 1, 3, 10, 30, … times first, up to last.
func upTo(first, last int) (values []int) {
	for v := first; v <= last; v *= 10 {
		values = append(values, v)
		if 3*v <= last {
			values = append(values, 3*v)
		}
	}
	return values
}

// scattered sends NDJSON of keys drawn anew for each request.
func scattered(connections, keys, per int) loader {
	script := strings.Replace(lines, "function request() return ready[math.random(1, #ready)] end", "function request() return make() end", 1)
	script = strings.Replace(script, "math.min(math.ceil(2 * keys / per), 400)", "0", 1)
	return func(api string) func(*stage, time.Duration) (loaded, error) {
		return func(s *stage, d time.Duration) (loaded, error) {
			return wrk(s, connections, d, script, per, api, strconv.Itoa(keys), strconv.Itoa(per), "memory")
		}
	}
}

// rows folds random keys into tables of more and more rows, in this process.
func (c *growthCmd) rows(b *bench) ([]series, error) {
	out := []series{{name: "1,000 a commit"}, {name: "10,000 a commit"}}
	dir, err := os.MkdirTemp(b.dir, "rows")
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	store, err := sqlite.Open(ctx, filepath.Join(dir, "numbers.db"))
	if err != nil {
		return nil, err
	}
	defer store.Close()
	filled := 0
	for _, rows := range upTo(1000, c.MaxRows) {
		fmt.Fprintf(os.Stderr, "rows: %d\n", rows)
		for filled < rows {
			n := min(rows-filled, 200_000)
			if _, err := store.Commit(ctx, &piccolo.Fold{Deltas: consecutive(filled, n)}); err != nil {
				return nil, err
			}
			filled += n
		}
		for i, per := range []int{1000, 10_000} {
			const times = 12
			var took []time.Duration
			for range times {
				fold := piccolo.Fold{Deltas: random(rows, per)}
				start := time.Now()
				if _, err := store.Commit(ctx, &fold); err != nil {
					return nil, err
				}
				took = append(took, time.Since(start)/time.Duration(len(fold.Deltas)))
			}
			slices.Sort(took)
			out[i].points = append(out[i].points, point{float64(rows), float64(took[times/2].Nanoseconds()) / 1000})
		}
	}
	return out, nil
}

func rowKey(i int) string { return fmt.Sprintf("key-%08d-xxxx", i) }

func consecutive(first, n int) []piccolo.Delta {
	deltas := make([]piccolo.Delta, n)
	for i := range deltas {
		deltas[i] = piccolo.Delta{Key: rowKey(first + i), Value: 1}
	}
	return deltas
}

// random returns n deltas for keys below total, or fewer where it draws one
// twice, sorted.
func random(total, n int) []piccolo.Delta {
	drawn := make([]int, n)
	for i := range drawn {
		drawn[i] = rand.IntN(total)
	}
	slices.Sort(drawn)
	var deltas []piccolo.Delta
	for _, i := range slices.Compact(drawn) {
		deltas = append(deltas, piccolo.Delta{Key: rowKey(i), Value: 1})
	}
	return deltas
}
