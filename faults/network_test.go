package faults_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// link is a wire to a NATS server that a test can break: a proxy for TCP
// connections.
type link struct {
	t        testing.TB
	listener net.Listener
	server   string

	mu    sync.Mutex
	moved *sync.Cond // when what a wire does has changed
	up    wire       // to the server
	down  wire       // from it
	conns map[net.Conn]bool
	felt  int // how often it was broken for something: a connection, or bytes on their way
}

// wire is one direction of a link.
type wire struct {
	held bool // nothing passes, and nothing is lost
	slow bool
}

// What a slow wire does: a modem's speed.
const (
	slowLatency = 40 * time.Millisecond
	slowChunk   = 1 << 10
)

func newLink(t testing.TB, server string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{t: t, listener: listener, server: server, conns: make(map[net.Conn]bool)}
	l.moved = sync.NewCond(&l.mu)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.carry(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.heal()
		l.reset()
		all.Wait()
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

// carry passes on what comes on a connection until either side ends it.
func (l *link) carry(client net.Conn) {
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		l.end(client)
		return
	}
	l.mu.Lock()
	l.conns[client], l.conns[server] = true, true
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.copy(server, client, &l.up); l.end(server, client) })
	both.Go(func() { l.copy(client, server, &l.down); l.end(server, client) })
	both.Wait()
}

func (l *link) copy(to io.Writer, from io.Reader, w *wire) {
	buf := make([]byte, 32<<10)
	for {
		l.mu.Lock()
		size := len(buf)
		if w.slow {
			size = slowChunk
		}
		l.mu.Unlock()
		n, err := from.Read(buf[:size])
		if err != nil {
			return
		}
		l.mu.Lock()
		if w.held || w.slow {
			l.felt++
		}
		for w.held {
			l.moved.Wait()
		}
		slow := w.slow
		l.mu.Unlock()
		if slow {
			time.Sleep(slowLatency)
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// end closes connections the hard way: what is on its way is lost.
func (l *link) end(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		delete(l.conns, c)
	}
}

// set changes what the wires do.
func (l *link) set(up, down wire) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up, l.down = up, down
	l.moved.Broadcast()
}

func (l *link) heal() { l.set(wire{}, wire{}) }

// reset breaks all connections; new ones can be made.
func (l *link) reset() {
	l.mu.Lock()
	var conns []net.Conn
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.felt += len(conns)
	l.mu.Unlock()
	l.end(conns...)
}

// broken says how often it has been so for something until now.
func (l *link) broken() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.felt
}

// networkFaults are what happens to a link, and for how long. Some leave an
// ingress under load no choice but to publish a batch again.
var networkFaults = []struct {
	name  string
	lasts time.Duration
	again bool
	do    func(*link)
}{
	{"connection reset", 0, false, (*link).reset},
	{"replies lost, then reset", time.Second, true, func(l *link) { l.set(wire{}, wire{held: true}) }},
	{"replies late", 3 * time.Second, true, func(l *link) { l.set(wire{}, wire{held: true}) }},
	{"black hole", 3 * time.Second, true, func(l *link) { l.set(wire{held: true}, wire{held: true}) }},
	{"slow", 3 * time.Second, false, func(l *link) { l.set(wire{slow: true}, wire{slow: true}) }},
}

// The network between ingress or writer and the NATS server breaks, in every
// way that it can, under load: PubAcks are lost or late, and the same batches
// published again; acks are lost, and the same batches delivered again. Every
// increment that was acknowledged counts, once.
func TestNetwork(t *testing.T) {
	t.Parallel()
	for _, broken := range []role{ingressOnly, writerOnly} {
		t.Run(string(broken), func(t *testing.T) {
			t.Parallel()
			p := newParts(t, 2, "--ack-timeout=300ms")
			l := newLink(t, p.nats.nats)
			if broken == ingressOnly {
				p.ingress.server = l.addr()
			} else {
				p.writer.server = l.addr()
			}
			p.writer.start()
			p.ingress.start()
			b := newBook()
			clients := p.ingress.loadKeys(b, 6, manyKeys(500), "stored", "applied", "memory")
			clients.await(p.ingress, counted, 50)
			var all []*figures
			for _, fault := range networkFaults {
				f := measure(t, 3, fmt.Sprintf("between %s and NATS: %s", broken, fault.name), "PICCOLO_KILLS")
				all = append(all, f)
				for range max(1, kills(t)/25) {
					anyMoment()
					felt, published := l.broken(), p.ingress.metric(retries)
					fault.do(l)
					time.Sleep(fault.lasts)
					if fault.name == "replies lost, then reset" {
						l.reset()
					}
					healed := time.Now()
					l.heal()
					f.Times++
					f.back(p.ingress, b, healed)
					if l.broken() == felt {
						t.Errorf("%s: nothing was on its way: the test proves nothing", fault.name)
					}
					if broken == ingressOnly && fault.again {
						p.ingress.until("a batch has been published again", func() bool { return p.ingress.metric(retries) > published })
					}
				}
				f.part(b)
			}
			clients.await(p.ingress, counted, 50)
			clients.stop()
			p.quiet()
			b.settled()
			p.finish(b)
			all[0].settle(b, p.writer.contents())
			if sure, _, _ := b.totals(); p.writer.contents().increments != sure {
				t.Errorf("%d increments were counted, and %d acknowledged", p.writer.contents().increments, sure)
			}
		})
	}
}
