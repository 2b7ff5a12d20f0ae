package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// greeting is what a service tells whoever started it: where everything is.
type greeting struct {
	api      string
	tokens   bool // the API asks for one
	admin    net.Addr
	db, nats string
	took     time.Duration
}

func (g greeting) print(w io.Writer) {
	if g.nats == "" {
		g.nats = "in this process only"
	}
	authorization := ""
	if g.tokens {
		authorization = "-H 'Authorization: Bearer TOKEN' "
	}
	_, _ = fmt.Fprintf(w, `
  Piccolo is ready (%s)

    API       %s
    admin     %s
    database  %s
    NATS      %s

  Count something, and look at it:

    curl %s-d 'key=foo&value=10' %s/increment
    sqlite3 %s 'select * from numbers'

`, g.took.Round(time.Millisecond), g.api, url("http", g.admin), relative(g.db), g.nats,
		authorization, strings.TrimPrefix(g.api, "http://"), relative(g.db))
}

// url is where a listener can be reached from this machine.
func url(scheme string, addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// relative shortens a path that lies below the working directory.
func relative(path string) string {
	dir, err := os.Getwd()
	if err != nil || dir == "/" { // as a service has it
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

// closeLogged closes what nobody can be told of any more when it fails.
func closeLogged(log *slog.Logger, what string, c io.Closer) {
	if err := c.Close(); err != nil {
		log.Error("closing failed", "what", what, "error", err)
	}
}
