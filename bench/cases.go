package main

import (
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// A benchCase is a server under a load.
type benchCase struct {
	name string
	ack  string
	kind kind
	rate int // requests a second on one connection; 0: as many as go
}

type kind int

const (
	noop     kind = iota // a server that does nothing
	allInOne             // the whole pipeline in the process that is measured
	ingress              // an ingress alone; stream and writer are elsewhere
)

var cases = []benchCase{
	{name: "no-op", kind: noop},
	{name: "memory", ack: "memory", kind: allInOne},
	{name: "stored", ack: "stored", kind: allInOne},
	{name: "applied", ack: "applied", kind: allInOne},
	{name: "ingress-memory", ack: "memory", kind: ingress},
	{name: "ingress-stored", ack: "stored", kind: ingress},
	{name: "light-stored", ack: "stored", kind: allInOne, rate: 100},
}

func caseNames() string {
	var names []string
	for _, k := range cases {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

// serveNothing is what 1.0 stands for: a reply of the usual size, with nothing
// behind it.
func serveNothing(addr string) error {
	server := fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("application/json")
			ctx.SetBodyString(`{"ack":"memory","receipt":"0123456789abcdef.0.123"}` + "\n")
		},
		NoDefaultServerHeader: true,
		ReadTimeout:           30 * time.Second,
		WriteTimeout:          30 * time.Second,
		IdleTimeout:           2 * time.Minute,
	}
	return server.ListenAndServe(addr)
}
