package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// serveCmd is a server that is measured, in a process of its own.
type serveCmd struct {
	Engine string `arg:"" enum:"fasthttp,net/http,nats"`
	Addr   string `arg:""`
	Dir    string `help:"Where it keeps its files."`
}

func (c *serveCmd) Run() error {
	switch c.Engine {
	case "fasthttp":
		return serveFasthttp(c.Addr)
	case "net/http":
		return serveNetHTTP(c.Addr)
	case "nats":
		return serveNATS(c.Addr, c.Dir)
	}
	return fmt.Errorf("unknown: %s", c.Engine)
}

const (
	readTimeout, writeTimeout, idleTimeout = 30 * time.Second, 30 * time.Second, 2 * time.Minute

	nothing = `{"ack":"memory","receipt":"0123456789abcdef.0.123"}` + "\n"
)

// reply has as many bytes as one of Piccolo's, whose headers say the same again.
var reply = nothing + strings.Repeat(" ", len("Piccolo-Ack: memory\r\nPiccolo-Receipt: 0123456789abcdef.0.123\r\n"))

// serveFasthttp is what 1.0 stands for: a reply of the usual size, with nothing
// behind it.
func serveFasthttp(addr string) error {
	server := fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("application/json")
			ctx.SetBodyString(reply)
		},
		NoDefaultServerHeader: true,
		ReadTimeout:           readTimeout,
		WriteTimeout:          writeTimeout,
		IdleTimeout:           idleTimeout,
	}
	return server.ListenAndServe(addr)
}

func serveNetHTTP(addr string) error {
	server := http.Server{
		Addr: addr,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(reply))
		}),
		ReadTimeout:  readTimeout,
		WriteTimeout: writeTimeout,
		IdleTimeout:  idleTimeout,
	}
	return server.ListenAndServe()
}
