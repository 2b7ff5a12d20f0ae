package faults_test

import (
	"math/rand/v2"
	"testing"
	"time"
)

// An ingress alone loses its NATS server, over and over, and the writer with
// it. It knows of no batch on its way whether it was stored: it publishes the
// same one until it is, and since it lives on, what it counted counts exactly
// once, acknowledged from memory or not.
func TestServerKilledUnderIngress(t *testing.T) {
	t.Parallel()
	server := newService(t, "--partitions=2")
	server.start()
	ingress := newIngress(t, server.nats, "--ack-timeout=300ms")
	ingress.start()
	b := newBook()
	f := measure(t, 1, "server and writer killed under an ingress")
	l := ingress.load(b, 6, "stored", "applied", "memory")
	for range 4 {
		l.await(ingress, counted, 50)
		time.Sleep(time.Duration(rand.Int64N(int64(300 * time.Millisecond)))) // any moment will do
		server.kill()
		l.await(ingress, counted, 10) // from memory
		f.Times++
		since := time.Now()
		server.start()
		f.back(ingress, b, since)
	}
	l.await(ingress, counted, 50)
	l.stop()
	ingress.stop()
	b.settled()
	server.quiet()
	server.undisturbed()
	server.stop()
	db := server.contents()
	f.check(b, db)
	if sure, maybe, _ := b.totals(); db.increments != sure || maybe != 0 {
		t.Errorf("%d increments were counted, %d acknowledged, %d got no answer", db.increments, sure, maybe)
	}
}

// An ingress has to stop while its NATS server is away: what it counted is in
// its spool, and the next start publishes that.
func TestIngressStoppedWithoutServer(t *testing.T) {
	t.Parallel()
	server := newService(t)
	server.start()
	ingress := newIngress(t, server.nats, "--ack-timeout=300ms", "--stop-timeout=4s")
	ingress.start()
	b := newBook()
	l := ingress.load(b, 4, "stored", "memory")
	l.await(ingress, counted, 50)
	server.kill()
	l.await(ingress, counted, 10)
	ingress.stop()
	l.stop()
	b.settled()
	if len(ingress.spooled()) == 0 {
		t.Error("the spool is empty")
	}
	f := measure(t, 12, "SIGTERM of an ingress without its server")
	f.Times++
	since := time.Now()
	server.start()
	ingress.start()
	f.back(ingress, b, since)
	b.settled()
	ingress.until("the spool is empty", func() bool { return len(ingress.spooled()) == 0 })
	ingress.stop()
	server.quiet()
	server.undisturbed()
	server.stop()
	db := server.contents()
	f.check(b, db)
	if sure, _, _ := b.totals(); db.increments != sure {
		t.Errorf("%d increments were counted, and %d acknowledged", db.increments, sure)
	}
}
