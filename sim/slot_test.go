package sim_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// slot is a place where one ingress runs after another, with the same spool.
type slot struct {
	w        *world
	n        int
	spool    string
	producer *producer // nil while none runs
}

// producer is a process with an ingress.
type producer struct {
	process
	slot     *slot
	in       *ingress.Ingress
	stopping bool
	full     bool // the last it heard of the stream
}

// start starts an ingress.
func (s *slot) start() {
	w := s.w
	w.processes++
	p := &producer{slot: s}
	p.process = process{n: w.processes, name: w.name("i"), buried: p.bury}
	in, err := ingress.New(ingress.Config{
		Listener:      newNobody(),
		Producer:      p.name,
		Partitions:    w.partitions,
		Stream:        w.publisher(publisher{w, p}),
		MaxMessage:    w.maxMessage,
		Reader:        nobodyReads{},
		Observer:      p,
		Log:           slog.New(w.logger(&p.process)),
		Spool:         s.spool,
		Ack:           piccolo.AckStored,
		AckTimeout:    w.ackTimeout,
		FlushInterval: w.flushInterval,
		DrainTimeout:  w.drainTimeout,
		MaxKeys:       w.maxKeys,
		MaxBody:       1 << 10,
		MaxKeyBytes:   keyBytes,
	})
	if err != nil {
		w.fail("%s cannot be made: %v", p.name, err)
		return
	}
	p.in, s.producer = in, p
	if w.trace != nil {
		w.logf("%s starts on spool %d with %d batches", p.name, s.n, len(s.spooled()))
	}
	go func() {
		err := in.Execute()
		w.mu.Lock()
		defer w.mu.Unlock()
		p.exist()
		w.tell(&p.process, "ends", 0, 0, "", func() { p.end(err) })
	}()
}

// end is what follows when the process has ended by itself. Invariant: it
// leaves nothing behind.
func (p *producer) end(err error) {
	w := p.slot.w
	w.logf("%s ends: %v", p.name, err)
	if err != nil || !p.stopping {
		w.fail("%s ended: %v", p.name, err)
	}
	spooled := p.slot.spooled()
	for _, b := range w.book.order {
		if b.id.Producer == p.name && !b.acked && !spooled[b.id] {
			w.fail("%s stopped, and %s of %d increments is neither stored nor in the spool", p.name, b.id, b.increments)
		}
	}
	p.bury()
}

// bury takes the process out of the world.
func (p *producer) bury() {
	p.slot.w.spool(p.slot)
	p.slot.producer = nil
	p.slot.w.killCalls(&p.process)
}

// kill ends the process where it stands.
func (p *producer) kill() {
	p.slot.w.logf("%s is killed", p.name)
	p.dead = true
	p.slot.w.killed[p.name] = true
	p.bury()
	go p.in.Interrupt(nil) // for its goroutines to end; what they do from now on comes to nothing
}

// stop has the process stop.
func (p *producer) stop() {
	p.slot.w.logf("%s is asked to stop", p.name)
	p.stopping = true
	go p.in.Interrupt(nil)
}

// Flushed is told of every flush.
func (p *producer) Flushed(piccolo.Flush) {}

// spooled is what stands in the spool.
func (s *slot) spooled() map[piccolo.BatchID]bool {
	entries, err := os.ReadDir(s.spool)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.w.fail("spool: %v", err)
	}
	ids := make(map[piccolo.BatchID]bool)
	for _, e := range entries {
		id, err := piccolo.ParseBatchID(strings.TrimSuffix(e.Name(), ".batch"))
		if err != nil {
			s.w.fail("%s is in the spool", e.Name())
		}
		ids[id] = true
	}
	return ids
}

// name names a process.
func (w *world) name(kind string) string { return fmt.Sprintf("%s%d", kind, w.processes) }

// nobody is a listener that nobody connects to: clients count in the process.
type nobody struct{ closed chan struct{} }

func newNobody() net.Listener { return nobody{make(chan struct{})} }

func (l nobody) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

func (l nobody) Addr() net.Addr { return &net.TCPAddr{} }

func (l nobody) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

// nobodyReads is for reads over HTTP, which there are none of.
type nobodyReads struct{}

func (nobodyReads) Query(context.Context, int, piccolo.Query) (piccolo.Answer, error) {
	return piccolo.Answer{}, errors.ErrUnsupported
}
