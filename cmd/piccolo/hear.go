package main

import (
	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

// hear subscribes to what every process reports, until stop is called. Who is
// too slow misses some: each comes again within a second.
func hear(conn *bus.Bus) (reports <-chan piccolo.Report, stop func(), err error) {
	heard := make(chan piccolo.Report, 256)
	stop, err = conn.Reports("", func(r piccolo.Report) {
		select {
		case heard <- r:
		default:
		}
	})
	return heard, stop, err
}
