package main

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/sqlite"
)

// deployment is a stream with its server and database, in this process.
type deployment struct {
	b      *testing.B
	server *bus.Server
	store  *sqlite.Store
	count  int
}

func newDeployment(b *testing.B, partitions int) *deployment {
	b.Helper()
	dir := b.TempDir()
	server, err := bus.StartServer(bus.ServerOptions{Dir: filepath.Join(dir, "jetstream"), Listen: "off", MaxBytes: 2 << 30, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Shutdown)
	d := &deployment{b: b, server: server, count: partitions}
	if _, err := d.connect().Provision(b.Context(), bus.StreamOptions{Partitions: partitions, MaxBytes: 2 << 30, Version: "bench"}); err != nil {
		b.Fatal(err)
	}
	store, release, err := openDatabase(b.Context(), filepath.Join(dir, "numbers.db"), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(release)
	d.store = store
	return d
}

func (d *deployment) connect() *bus.Bus {
	d.b.Helper()
	conn, err := d.server.Connect("bench", slog.New(slog.DiscardHandler))
	if err != nil {
		d.b.Fatal(err)
	}
	d.b.Cleanup(conn.Close)
	return conn
}

// service is a process's worth of it.
func (d *deployment) service() *service {
	return newService(setting{
		log: discard, errors: new(lastError), conn: d.connect(), dir: d.b.TempDir(),
		partitions: d.count, freshness: 35 * time.Millisecond, stop: stopFlags{StopTimeout: time.Minute},
	})
}

// run runs an actor until the returned function is called.
func (d *deployment) run(a actor) (stop func()) {
	ended := make(chan error, 1)
	go func() { ended <- a.Execute() }()
	return func() {
		a.Interrupt(nil)
		if err := <-ended; err != nil {
			d.b.Error(err)
		}
	}
}

func (d *deployment) writer() (stop func()) {
	d.b.Helper()
	s := d.service()
	s.conn.Own(d.store.ID(), false)
	w, err := s.openWriter(d.b.Context(), &writerFlags{TokenTTL: 24 * time.Hour}, d.store, allPartitions(d.count), nil)
	if err != nil {
		d.b.Fatal(err)
	}
	return d.run(w)
}

func (d *deployment) ingress() (addr string, stop func()) {
	d.b.Helper()
	s := d.service()
	in, err := s.openIngress(d.b.Context(), &ingressFlags{
		Listen: "127.0.0.1:0", Ack: piccolo.AckStored, AckTimeout: time.Minute, FlushInterval: 20 * time.Millisecond,
		MaxKeys: 1 << 20, MaxBody: 16 << 20, MaxKeyBytes: 512,
	})
	if err != nil {
		d.b.Fatal(err)
	}
	return in.Listener.Addr().String(), d.run(in)
}

// folded waits until the ledger counts n increments.
func (d *deployment) folded(n uint64) {
	d.b.Helper()
	db, err := sql.Open("sqlite", d.store.Path())
	if err != nil {
		d.b.Fatal(err)
	}
	defer db.Close()
	for have := uint64(0); have < n; time.Sleep(20 * time.Millisecond) {
		if err := db.QueryRow("SELECT coalesce(sum(increments), 0) FROM ledger").Scan(&have); err != nil {
			d.b.Fatal(err)
		}
	}
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What an increment costs, in CPU time of everything together (clients, of
// which the work is the same everywhere, ingresses, NATS server and writer), by
// how many ingresses, partitions and connections there are. 10,000 keys. A
// partition is a flusher with batches of its own, so it pays as long as it has as
// many replies to share a batch as the only one had.
func BenchmarkDeployment(b *testing.B) {
	for _, c := range []struct{ ingresses, partitions, connections int }{
		{1, 1, 256}, {2, 1, 256}, {4, 1, 256}, {1, 4, 256}, {1, 16, 256}, {1, 4, 1024}, {1, 16, 4096}, {4, 16, 4096}, {4, 16, 256},
	} {
		b.Run(fmt.Sprintf("ingresses=%d/partitions=%d/connections=%d", c.ingresses, c.partitions, c.connections), func(b *testing.B) {
			d := newDeployment(b, c.partitions)
			defer d.writer()()
			var addrs []string
			for range c.ingresses {
				addr, stop := d.ingress()
				defer stop()
				addrs = append(addrs, addr)
			}
			before := cpu(b)
			b.ResetTimer()
			var clients sync.WaitGroup
			sent := 0
			for i := range c.connections {
				n := b.N / c.connections
				if i < b.N%c.connections {
					n++
				}
				sent += n
				clients.Go(func() { post(b, addrs[i%len(addrs)], n, i) })
			}
			clients.Wait()
			d.folded(uint64(sent))
			b.StopTimer()
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N)/1000, "µs-cpu/op")
		})
	}
}

// post sends n increments on one connection, each when the one before has its
// reply.
func post(b *testing.B, addr string, n, seed int) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	replies := bufio.NewReader(conn)
	var request []byte
	for i := range n {
		body := "key=key-" + strconv.Itoa((seed*7919+i*104729)%10_000) + "&value=1"
		request = fmt.Appendf(request[:0], "POST /increment HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return
		}
		length := 0
		for line := ""; line != "\r\n"; {
			if line, err = replies.ReadString('\n'); err != nil {
				b.Error(err)
				return
			}
			_, _ = fmt.Sscanf(line, "Content-Length: %d", &length)
		}
		if _, err := io.CopyN(io.Discard, replies, int64(length)); err != nil {
			b.Error(err)
			return
		}
	}
}

// How fast a writer that was away folds what the stream has kept for it: batches
// of so many deltas, of keys drawn from a million. An op is a delta.
func BenchmarkCatchUp(b *testing.B) {
	for _, deltas := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("deltas=%d", deltas), func(b *testing.B) {
			d := newDeployment(b, 1)
			conn := d.connect()
			batches := max(b.N/deltas, 1)
			for seq := range batches {
				batch := piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Seq: uint64(seq + 1)}, Increments: uint64(deltas), Accepted: time.Now()}
				for i := range deltas {
					batch.Deltas = append(batch.Deltas, piccolo.Delta{Key: fmt.Sprintf("key-%07d", (seq*deltas+i)*7919%1_000_000), Value: 1})
				}
				m := &piccolo.Message{ID: batch.BatchID, Keys: deltas, Increments: uint64(deltas), Data: piccolo.AppendBatch(nil, &batch)}
				if err := conn.Publish(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
			before := cpu(b)
			b.ResetTimer()
			stop := d.writer()
			d.folded(uint64(batches * deltas))
			b.StopTimer()
			b.ReportMetric(float64(batches*deltas)/b.Elapsed().Seconds(), "deltas/s")
			b.ReportMetric(float64(batches)/b.Elapsed().Seconds(), "batches/s")
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(batches*deltas)/1000, "µs-cpu/delta")
			stop()
		})
	}
}
