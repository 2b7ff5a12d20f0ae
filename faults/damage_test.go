package faults_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// underLoad are the things that befall a stream while an ingress goes on
// publishing to it.
var underLoad = map[string]func(*parts, *victim){
	"stream rolled back": func(p *parts, v *victim) {
		p.nats.kill()
		p.nats.must(os.RemoveAll(p.nats.jetstream()))
		p.nats.must(os.CopyFS(p.nats.jetstream(), os.DirFS(v.older)))
		p.nats.start()
	},
	"block file, bit flipped": func(p *parts, v *victim) {
		p.nats.kill()
		v.damage(p, "bit flipped")
		p.nats.start()
	},
	"block file truncated": func(p *parts, v *victim) {
		p.nats.kill()
		v.damage(p, "truncated")
		p.nats.start()
	},
	"block file, bit flipped while the server runs": func(p *parts, v *victim) {
		v.damage(p, "bit flipped")
		p.nats.kill() // it has the end of the stream in memory, and finds out when it starts
		p.nats.start()
	},
	"block file truncated while the server runs": func(p *parts, v *victim) {
		v.damage(p, "truncated")
		v.load.await(p.ingress, counted, 50) // which leaves a hole
		p.nats.kill()
		p.nats.start()
	},
	"a batch's bit flipped that the server has to read again": func(p *parts, v *victim) {
		v.load.stop()
		time.Sleep(16 * time.Second) // it forgets what nobody asked for in 10 s
		v.since = time.Now()
		v.damage(p, "in a batch")
		v.load = p.ingress.loadKeys(v.load.client.book, 4, v.key, "stored")
	},
	"stream deleted": func(p *parts, v *victim) {
		_, js := p.nats.connect()
		p.nats.must(js.DeleteStream(v.t.Context(), "PICCOLO"))
		p.init("--partitions=1")
	},
	"consumer deleted": func(p *parts, v *victim) {
		_, js := p.nats.connect()
		p.nats.must(js.DeleteConsumer(v.t.Context(), "PICCOLO", "writer-0"))
	},
}

// victim is what a test of these has at hand.
type victim struct {
	t     *testing.T
	load  *load
	key   func() string
	since time.Time // when the damage was done
	older string    // a copy of the stream's files, from before the last batches
}

// damage damages the newest block file amidst the batches that are not folded.
func (v *victim) damage(p *parts, how string) {
	v.t.Helper()
	file, block := p.nats.newest()
	at := amidst(v.t, block, p.writer.position())
	if how == "in a batch" {
		// Not in the record's head: a server that finds another number there
		// than it expects takes all numbers between for deleted, one by one.
		how, at = "bit flipped", at+100
	}
	p.nats.must(damages[how](file, block, at))
}

// The stream is damaged under load, with batches in it that the writer, which
// is away for a moment, has not folded. That is noticed before the writer passes
// over anything new: all that is acknowledged afterwards counts, once. What is
// lost is reported, to the batch.
func TestStreamDamagedUnderLoad(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(underLoad)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParts(t, 1, "--ack-timeout=300ms")
			p.writer.start()
			p.ingress.start()
			b := newBook()
			f := measure(t, 6, name+", under load")
			var sent atomic.Int64
			l := p.ingress.loadKeys(b, 4, numbered(&sent), "stored")
			l.await(p.ingress, counted, 100)
			v := &victim{t: t, load: l, key: numbered(&sent), older: t.TempDir()}
			if name == "stream rolled back" {
				p.nats.freeze()
				p.nats.must(os.CopyFS(v.older, os.DirFS(p.nats.jetstream())))
				p.nats.signal(syscall.SIGCONT)
			}
			l.await(p.ingress, counted, 100)
			p.writer.kill() // or it would have at hand what the stream loses
			l.await(p.ingress, counted, 300)

			v.since = time.Now()
			underLoad[name](p, v)
			l = v.load
			f.Times++
			mark := sent.Load() // with what was sent before, and is on its way
			p.writer.start()
			f.back(p.ingress, b, v.since)
			l.await(p.ingress, counted, 200)
			l.stop()
			p.folded()
			b.settled()
			db := p.writer.contents()
			f.settle(b, db)
			if f.Doubled > 0 || f.Wrong > 0 {
				t.Errorf("%d increments count twice, %d keys have values of nobody's", f.Doubled, f.Wrong)
			}
			for key, a := range b.accounts {
				if n := 0; len(a.maybe) == 0 && db.numbers[key] != a.sure {
					if _, err := fmt.Sscanf(key, "once-%d", &n); err != nil || int64(n) > mark {
						t.Errorf("%s was acknowledged after the damage, and is %d instead of %d", key, db.numbers[key], a.sure)
					}
				}
			}

			// The ledger misses what was lost; the report says the same.
			missing := p.writer.missing()
			p.writer.until("the loss is reported", func() bool {
				return p.writer.metric("piccolo_lost_batches_total") >= float64(missing)
			})
			reported := p.writer.metric("piccolo_lost_batches_total")
			if reported != float64(missing) {
				t.Errorf("%v batches are reported as lost, and %d are", reported, missing)
			}
			t.Logf("%d of %d increments lost; %v batches and %v bytes are reported as lost; all was read again %v times", f.Lost, f.Acknowledged,
				reported, p.writer.metric("piccolo_stream_damaged_bytes_total"), p.writer.metric("piccolo_stream_rewinds_total"))
			p.ingress.stop()
			p.writer.stop()
			destroyed := name != "consumer deleted"
			if destroyed != (f.Lost > 0) {
				t.Errorf("%d increments were lost", f.Lost)
			}
			f.MustLose = destroyed
			db = p.writer.contents()
			db.gaps = nil
			db.check(t)
			if !destroyed {
				b.check(t, db)
			}
		})
	}
}

// A bit is flipped in the number of a record that the running server has to read
// again. It takes all numbers up to there for deleted, one by one, and answers
// nothing about the consumer meanwhile, for years. The process notices that,
// ends, and the next one goes on.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	if os.Getenv("PICCOLO_HANG") == "" {
		t.Skip("it takes two minutes of a processor: PICCOLO_HANG=1 go test -run TestServerHangs ./faults")
	}
	s := newService(t, "--retain=1h", "--stop-timeout=5s", "--ack-timeout=1s")
	b := newBook()
	f := measure(t, 6, "a record's number flipped that the server has to read again", "PICCOLO_HANG")
	s.start()
	s.busy(b, 200)
	time.Sleep(16 * time.Second) // it forgets what nobody asked for in 10 s
	files := s.blocks()
	block, err := os.ReadFile(files[0])
	s.must(err)
	s.must(damages["bit flipped"](files[0], block, amidst(t, block, 0)))
	since := time.Now()
	_, js := s.connect()
	s.must(js.DeleteConsumer(t.Context(), "PICCOLO", "writer-0")) // the next one reads it all
	key := oneTime()
	l := s.loadKeys(b, 2, key, "stored")
	l.await(s, counted, 10) // from memory: the server hangs for the ingress too
	l.stop()
	for deadline := time.Now().Add(4 * time.Minute); !s.now.gone(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatal("the process still runs")
		}
	}
	t.Logf("it ended after %s", time.Since(since).Round(time.Second))
	if code := s.wait(); code != 1 || !s.logged("has not answered for") {
		t.Errorf("exit code %d, want 1 and why", code)
	}
	b.crashed()
	f.Times++
	s.start()
	f.back(s, b, since)
	if s.metric("piccolo_stream_damaged_bytes_total") == 0 {
		t.Error("the damage is not reported")
	}
	l = s.loadKeys(b, 2, key, "stored")
	l.await(s, counted, 100)
	l.stop()
	s.stop()
	b.settled()
	db := s.contents()
	db.gaps = nil
	f.settle(b, db)
	f.MustLose = f.Lost > 0 // what stood behind the damage and was not folded
	t.Logf("%d of %d increments lost", f.Lost, f.Acknowledged)
	if f.Doubled > 0 || f.Wrong > 0 {
		t.Errorf("%d increments count twice, %d keys have values of nobody's", f.Doubled, f.Wrong)
	}
}

// missing counts the batches below others that the ledger misses.
func (s *service) missing() (n uint64) {
	s.t.Helper()
	db := openReader(s.t, s.database)
	defer db.Close()
	tx, err := db.Begin()
	s.must(err)
	defer tx.Rollback()
	each(s.t, tx, "SELECT watermark, above FROM ledger", func(scan func(...any)) {
		var watermark uint64
		var above string
		scan(&watermark, &above)
		seqs, err := piccolo.ParseSeqSet(watermark, above)
		s.must(err)
		n += seqs.Missing()
	})
	return n
}
