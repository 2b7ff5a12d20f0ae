package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	redisTools   = []string{"redis-server", "redis-benchmark"}
	redisVersion = []string{"redis-server", "--version"}
)

// redis is asked by its own benchmark, which takes a number of requests and no
// time: how many is found out first.
func (b *bench) redis(appendonly string, pipeline int) subject {
	addr := freeAddr()
	rate := 20_000 // a second
	return subject{
		start: func(s *stage) error { return s.serveRedis(addr, appendonly) },
		load: func(_ *stage, d time.Duration) (l loaded, err error) {
			n := max(int(float64(rate)*d.Seconds()), 1000)
			start := time.Now()
			out, err := exec.Command("taskset", "-c", loadCore, "redis-benchmark", "-p", port(addr), "-c", strconv.Itoa(b.Connections),
				"-n", strconv.Itoa(n), "-r", strconv.Itoa(b.Keys), "-P", strconv.Itoa(pipeline), "--csv",
				"INCRBY", "key-__rand_int__", "7").Output()
			if err != nil {
				return l, fmt.Errorf("redis-benchmark: %w", err)
			}
			l.increments = n
			rate = int(float64(n) / time.Since(start).Seconds())
			rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
			if err != nil || len(rows) < 2 {
				return l, fmt.Errorf("redis-benchmark said: %s", out)
			}
			for i, column := range rows[0] {
				ms, _ := strconv.ParseFloat(rows[1][i], 64)
				switch column {
				case "p50_latency_ms":
					l.p50 = time.Duration(ms * float64(time.Millisecond))
				case "p99_latency_ms":
					l.p99 = time.Duration(ms * float64(time.Millisecond))
				}
			}
			return l, nil
		},
	}
}

var (
	pgCount   = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	pgLatency = regexp.MustCompile(`latency average = ([\d.]+) ms`)
)

// postgresTool finds a program that Debian keeps out of the path.
func postgresTool(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	return found[len(found)-1], nil
}

// pgConnections is how many connections PostgreSQL gets: each takes a process
// of its own, and to start them would be most of what is measured.
const pgConnections = 32

// postgres keeps its default of an fsync before every reply.
func (b *bench) postgres() subject {
	addr := freeAddr()
	connections := min(b.Connections, pgConnections)
	// It refuses to run as root.
	plain := func(command ...string) []string {
		if os.Getuid() == 0 {
			return append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"}, command...)
		}
		return command
	}
	client := func(tool string, args ...string) *exec.Cmd {
		return exec.Command("taskset", append([]string{"-c", loadCore, tool, "-h", "127.0.0.1", "-p", port(addr), "-U", "bench"}, args...)...)
	}
	return subject{
		start: func(s *stage) error {
			initdb, err := postgresTool("initdb")
			if err != nil {
				return err
			}
			server, err := postgresTool("postgres")
			if err != nil {
				return err
			}
			// Its user must get there.
			for dir := s.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					return err
				}
			}
			data := filepath.Join(s.dir, "pg")
			if err := os.Mkdir(data, 0o700); err != nil {
				return err
			}
			if os.Getuid() == 0 {
				if out, err := exec.Command("chown", "postgres:postgres", data).CombinedOutput(); err != nil {
					return fmt.Errorf("chown: %w: %s", err, out)
				}
			}
			init := plain(initdb, "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8")
			cmd := exec.Command(init[0], init[1:]...)
			cmd.Dir = data
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("initdb: %w: %s", err, out)
			}
			run := plain(server, "-D", data, "-h", "127.0.0.1", "-p", port(addr), "-k", "",
				"-c", "max_connections="+strconv.Itoa(connections+10), "-c", "shared_buffers=256MB")
			if err := s.serve(run[0], run[1:]...); err != nil {
				return err
			}
			if err := listening(addr); err != nil {
				return err
			}
			for range 100 {
				var out []byte
				out, err = client("psql", "-c", "CREATE TABLE numbers (key text PRIMARY KEY, value bigint NOT NULL)", "postgres").CombinedOutput()
				if err == nil {
					return nil
				}
				err = fmt.Errorf("psql: %w: %s", err, out)
				time.Sleep(100 * time.Millisecond)
			}
			return err
		},
		load: func(s *stage, d time.Duration) (l loaded, err error) {
			script := filepath.Join(s.dir, "load.sql")
			err = os.WriteFile(script, []byte(`\set k random(1, `+strconv.Itoa(b.Keys)+`)
\set v random(-100, 100)
INSERT INTO numbers VALUES ('key-' || :k, :v) ON CONFLICT (key) DO UPDATE SET value = numbers.value + excluded.value;
`), 0o644)
			if err != nil {
				return l, err
			}
			out, err := client("pgbench", "-n", "-M", "prepared", "-c", strconv.Itoa(connections), "-j", "1",
				"-T", strconv.Itoa(max(int(d.Seconds()), 1)), "-f", script, "postgres").CombinedOutput()
			if err != nil {
				return l, fmt.Errorf("pgbench: %w: %s", err, out)
			}
			m := pgCount.FindSubmatch(out)
			if m == nil {
				return l, fmt.Errorf("pgbench said: %s", out)
			}
			l.increments, _ = strconv.Atoi(string(m[1]))
			if m := pgLatency.FindSubmatch(out); m != nil { // it tells no median
				ms, _ := strconv.ParseFloat(string(m[1]), 64)
				l.p50 = time.Duration(ms * float64(time.Millisecond))
			}
			return l, nil
		},
	}
}
