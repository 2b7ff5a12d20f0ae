package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// kills is how often processes are killed, PICCOLO_KILLS or a few.
func kills(t *testing.T) int {
	text, ok := os.LookupEnv("PICCOLO_KILLS")
	if !ok {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("PICCOLO_KILLS=%s: want a number above 0", text)
	}
	return n
}

// manyKeys returns one of so many keys that few of each go without an answer
// over so many faults: the book is then exact.
func manyKeys(faults int) func() string {
	return func() string { return fmt.Sprintf("key-%d", rand.IntN(10*faults)) }
}

// oneTime returns keys that are each used once, so that the database tells of
// every increment whether it counts, and how often.
func oneTime() func() string { return numbered(new(atomic.Int64)) }

// numbered returns such keys with the numbers that n counts.
func numbered(n *atomic.Int64) func() string {
	return func() string { return fmt.Sprintf("once-%06d", n.Add(1)) }
}

// anyMoment waits a random time: what goes on in the service meanwhile is what
// the next fault meets.
func anyMoment() { time.Sleep(time.Duration(rand.Int64N(int64(600 * time.Millisecond)))) }

// The service is killed at random moments under load, over and over on one
// data directory: every increment that was acknowledged counts, once.
func TestKill(t *testing.T) {
	t.Parallel()
	s := newService(t, "--partitions=3")
	b := newBook()
	f := measure(t, 1, "all in one killed", "PICCOLO_KILLS")
	f.Times = kills(t)
	l := s.loadKeys(b, 8, manyKeys(f.Times), "stored", "applied", "stored", "stored")
	s.start()
	l.await(s, counted, 1)
	for range f.Times {
		anyMoment()
		killed := time.Now()
		s.kill()
		b.crashed()
		s.start()
		f.back(s, b, killed)
	}
	l.await(s, counted, 50)
	l.stop()
	s.quiet()
	b.crashed()
	b.check(t, s.contents())
	s.undisturbed()
	s.stop()
	f.check(b, s.contents())
}

// Ingress, writer and NATS server are processes of their own, and one of them
// is killed at a random moment under load, over and over.
func TestKillParts(t *testing.T) {
	t.Parallel()
	p := newParts(t, 2, "--ack-timeout=300ms")
	p.writer.start()
	p.ingress.start()
	b := newBook()
	n := kills(t)
	l := p.ingress.loadKeys(b, 8, manyKeys(n), "stored", "applied", "memory", "stored")
	l.await(p.ingress, counted, 1)
	victims := []*service{p.ingress, p.writer, p.nats}
	var of []*figures
	for _, victim := range victims {
		of = append(of, measure(t, 1, string(victim.role)+" killed, of three processes", "PICCOLO_KILLS"))
	}
	for i := range n {
		victim, f := victims[i%len(victims)], of[i%len(victims)]
		anyMoment()
		killed := time.Now()
		victim.kill()
		if victim == p.ingress {
			b.crashed()
		}
		victim.start()
		f.back(p.ingress, b, killed)
		f.Times++
		f.part(b)
	}
	l.await(p.ingress, counted, 50)
	l.stop()
	b.crashed() // an ingress that was killed may have given any of these replies
	p.finish(b)
	of[0].settle(b, p.writer.contents())
}

// frozen is longer than a publish waits for its acknowledgement.
const frozen = 2500 * time.Millisecond

// The process stands still for longer than that, as on a machine that was
// suspended, and goes on: whether a batch is published again then or not, it
// counts once.
func TestFreeze(t *testing.T) {
	t.Parallel()
	s := newService(t, "--partitions=2")
	b := newBook()
	f := measure(t, 4, "all in one stands still beyond the publish timeout")
	l := s.load(b, 4, "stored", "applied")
	s.start()
	for range 2 {
		l.await(s, counted, 100)
		s.freeze()
		time.Sleep(frozen)
		s.signal(syscall.SIGCONT)
		f.Times++
		f.back(s, b, time.Now())
	}
	l.await(s, counted, 100)
	l.stop()
	s.quiet()
	b.settled()
	f.check(b, s.contents())
	s.undisturbed()
	s.stop()
}

// The NATS server alone stands still for so long, with a batch on its way. The
// ingress publishes it again, the server finds both when it goes on, and it
// counts once.
func TestServerFrozen(t *testing.T) {
	t.Parallel()
	p := newParts(t, 2, "--ack-timeout=300ms")
	p.writer.start()
	p.ingress.start()
	b := newBook()
	f := measure(t, 4, "nats-server stands still beyond the publish timeout")
	l := p.ingress.loadKeys(b, 4, manyKeys(100), "stored", "applied")
	for range 2 {
		l.await(p.ingress, counted, 100)
		before := p.ingress.metric(retries)
		p.nats.freeze()
		time.Sleep(frozen)
		p.nats.signal(syscall.SIGCONT)
		f.Times++
		f.back(p.ingress, b, time.Now())
		p.ingress.until("a batch has been published again", func() bool { return p.ingress.metric(retries) > before })
	}
	l.await(p.ingress, counted, 100)
	l.stop()
	p.quiet()
	b.settled()
	p.finish(b)
	f.settle(b, p.writer.contents())
}

// retries is the metric of how often batches were published again.
const retries = "piccolo_publish_retries_total"

// A writer stands still for longer than the stream waits for an ack, with
// batches in its hands. They come again when it goes on, and are counted once.
func TestWriterFrozenPastAckWait(t *testing.T) {
	t.Parallel()
	const ackWait = 30 * time.Second // of the consumer
	p := newParts(t, 2)
	p.writer.start()
	p.ingress.start()
	b := newBook()
	l := p.ingress.loadKeys(b, 4, manyKeys(100), "stored")
	l.await(p.ingress, counted, 200)
	p.writer.freeze()
	l.await(p.ingress, counted, 200)
	time.Sleep(ackWait + 2*time.Second)
	p.writer.signal(syscall.SIGCONT)
	f := measure(t, 4, "writer stands still past AckWait")
	f.Times = 1
	f.back(p.ingress, b, time.Now())
	l.await(p.ingress, counted, 200)
	l.stop()
	p.quiet()
	if p.writer.metric("piccolo_duplicate_batches_total") == 0 {
		t.Error("no batch was delivered again: the test proves nothing")
	}
	p.finish(b)
	f.settle(b, p.writer.contents())
}
