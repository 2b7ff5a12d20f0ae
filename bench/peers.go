package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed peers
var peerFiles embed.FS

// A peer is somebody who does the same work, or a part of it.
type peer struct {
	name    string
	disk    string // what is on disk when the client has its reply
	lacks   string // of what Piccolo promises
	needs   []string
	version []string // a command that says it
	what    subject
}

func (b *bench) peers() []peer {
	const (
		stored = "the increments, fsynced"
		sql    = "SQL: an ingress alone, without a writer"
	)
	full := func(ack string) loader { return singles(b.Connections, b.Keys, keySize, ack) }
	return []peer{
		{name: "no-op, fasthttp", disk: "nothing", lacks: "it does nothing", what: b.noop("fasthttp", full("memory"))},
		{name: "no-op, net/http", disk: "nothing", lacks: "it does nothing", what: b.noop("net/http", full("memory"))},
		{name: "Piccolo `memory`", disk: "nothing; within 20 ms the increment", lacks: "a crash loses up to 20 ms", what: b.allInOne(full("memory"))},
		{name: "Piccolo `stored`", disk: "the increment, fsynced", lacks: "", what: b.allInOne(full("stored"))},
		{name: "Piccolo `applied`", disk: "the new total in SQLite, fsynced", lacks: "", what: b.allInOne(full("applied"))},
		{name: "Piccolo, NDJSON by 1,000", disk: stored, what: b.allInOne(bulk(32, b.Keys, 1000, "stored"))},
		{name: "Piccolo, NDJSON by 10,000", disk: stored, what: b.allInOne(bulk(32, b.Keys, 10_000, "stored"))},
		{name: "Piccolo, NDJSON by 10,000, 1,000,000 keys", disk: stored, what: b.allInOne(bulk(32, 1_000_000, 10_000, "stored"))},
		{name: "Piccolo `--freshness 1s`, NDJSON by 10,000", disk: stored, what: b.allInOne(bulk(32, b.Keys, 10_000, "stored"), "--freshness", "1s")},
		{name: "Piccolo's ingress, NDJSON by 1,000", disk: stored, lacks: sql, what: b.ingressAlone(bulk(32, b.Keys, 1000, "stored"))},
		{name: "Piccolo's ingress, NDJSON by 10,000", disk: stored, lacks: sql, what: b.ingressAlone(bulk(32, b.Keys, 10_000, "stored"))},
		{name: "Piccolo's ingress, NDJSON by 10,000, 1,000,000 keys", disk: stored, lacks: sql, what: b.ingressAlone(bulk(32, 1_000_000, 10_000, "stored"))},
		{name: "Node, Express", disk: "nothing, ever", lacks: "durability, SQL", needs: []string{"node", "npm"},
			version: []string{"node", "--version"}, what: b.express(full(""))},
		{name: "the ancestor's design: falcon, gevent, Redis lists", disk: "nothing; within a second SQLite",
			lacks: "exactness: any crash loses or repeats", needs: []string{python, "redis-server"}, version: []string{python, "--version"},
			what: b.ancestor(full(""))},
		{name: "webdis with Redis", disk: "nothing", lacks: "durability, SQL; a retry counts twice", needs: []string{"webdis", "redis-server"},
			version: []string{"dpkg-query", "-W", "-f", "${Version}", "webdis"}, what: b.webdis()},
		{name: "Redis `INCRBY`", disk: "nothing", lacks: "durability, SQL; a retry counts twice", needs: redisTools, version: redisVersion,
			what: b.redis("no", 1)},
		{name: "Redis `INCRBY`, pipelined by 100", disk: "nothing", lacks: "the same", needs: redisTools, version: redisVersion,
			what: b.redis("no", 100)},
		{name: "Redis `INCRBY`, appendfsync always", disk: "the increment, fsynced", lacks: "SQL; a retry counts twice", needs: redisTools,
			version: redisVersion, what: b.redis("yes", 1)},
		{name: "Redis `INCRBY`, pipelined by 100, appendfsync always", disk: "the increments, fsynced", lacks: "the same", needs: redisTools,
			version: redisVersion, what: b.redis("yes", 100)},
		{name: fmt.Sprintf("PostgreSQL, `INSERT … ON CONFLICT DO UPDATE`, %d connections", pgConnections), disk: "the new total, fsynced", lacks: "HTTP; a retry counts twice",
			needs: []string{"pgbench"}, version: []string{"pgbench", "--version"}, what: b.postgres()},
		{name: "NATS counter stream, sync always", disk: "the increment, fsynced", lacks: "HTTP, SQL; a retry counts twice after two minutes",
			what: b.counterStream()},
	}
}

// missing says what a peer needs and is not there.
func (p *peer) missing() error {
	var errs []error
	for _, tool := range p.needs {
		if _, err := exec.LookPath(tool); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// python is Debian's, which has its packages.
const python = "/usr/bin/python3"

// unpack writes a peer's file to the stage.
func (s *stage) unpack(name string) (path string, err error) {
	data, err := peerFiles.ReadFile("peers/" + name)
	if err != nil {
		return "", err
	}
	path = filepath.Join(s.dir, name)
	return path, os.WriteFile(path, data, 0o644)
}

func (b *bench) express(load loader) subject {
	api := freeAddr()
	return subject{load: load(api), start: func(s *stage) error {
		// The package is installed once for all runs.
		modules := filepath.Join(b.dir, "express")
		if _, err := os.Stat(modules); err != nil {
			if err := os.Mkdir(modules, 0o755); err != nil {
				return err
			}
			install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--prefix", modules, "express@4")
			if out, err := install.CombinedOutput(); err != nil {
				return fmt.Errorf("npm install express: %w: %s", err, out)
			}
		}
		path, err := s.unpack("express.js")
		if err != nil {
			return err
		}
		if err := s.serve("env", "NODE_ENV=production", "NODE_PATH="+filepath.Join(modules, "node_modules"), "node", path, port(api)); err != nil {
			return err
		}
		return listening(api)
	}}
}

// serveRedis starts a Redis that is measured.
func (s *stage) serveRedis(addr, appendonly string) error {
	err := s.serve("redis-server", "--port", port(addr), "--bind", "127.0.0.1", "--save", "", "--dir", s.dir,
		"--appendonly", appendonly, "--appendfsync", "always", "--maxclients", "10000")
	if err != nil {
		return err
	}
	return listening(addr)
}

func (b *bench) ancestor(load loader) subject {
	api := freeAddr()
	return subject{load: load(api), start: func(s *stage) error {
		list := freeAddr()
		if err := s.serveRedis(list, "no"); err != nil {
			return err
		}
		web, err := s.unpack("ancestor.py")
		if err != nil {
			return err
		}
		consumer, err := s.unpack("consumer.py")
		if err != nil {
			return err
		}
		if err := s.serve(python, consumer, port(list), filepath.Join(s.dir, "numbers.db")); err != nil {
			return err
		}
		if err := s.serve(python, web, port(api), port(list)); err != nil {
			return err
		}
		return listening(api)
	}}
}

func (b *bench) webdis() subject {
	api := freeAddr()
	return subject{
		start: func(s *stage) error {
			store := freeAddr()
			if err := s.serveRedis(store, "no"); err != nil {
				return err
			}
			config, err := json.Marshal(map[string]any{
				"redis_host": "127.0.0.1", "redis_port": json.Number(port(store)), "http_host": "127.0.0.1", "http_port": json.Number(port(api)),
				"threads": 1, "pool_size": 20, "daemonize": false, "database": 0, "verbosity": 0, "logfile": filepath.Join(s.dir, "webdis.log"),
			})
			if err != nil {
				return err
			}
			path := filepath.Join(s.dir, "webdis.json")
			if err := os.WriteFile(path, config, 0o644); err != nil {
				return err
			}
			if err := s.serve("webdis", path); err != nil {
				return err
			}
			return listening(api)
		},
		load: func(s *stage, d time.Duration) (loaded, error) {
			return wrk(s, b.Connections, d, webdisPath+prepared, 1, api, fmt.Sprint(b.Keys), fmt.Sprint(keySize))
		},
	}
}

// versionOf is the first line that a peer's version command prints.
func versionOf(command []string) string {
	if len(command) == 0 {
		return ""
	}
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
