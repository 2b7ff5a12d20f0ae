package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

// startCmd measures the service with nothing to do, its start, and its start
// with much to do.
type startCmd struct {
	Deltas int           `help:"Of the backlog to catch up with." default:"10000000"`
	Bytes  int64         `help:"Of the backlog to start with." default:"1073741824"`
	Idle   time.Duration `help:"How long nothing is done." default:"20s"`
}

func (c *startCmd) Run(b *bench) error {
	if err := b.prepare(); err != nil {
		return err
	}
	var t strings.Builder
	fmt.Fprintln(&t, "| | |\n|---|---:|")
	binary, err := os.Stat(b.piccolo)
	if err != nil {
		return err
	}
	fmt.Fprintf(&t, "| binary | %.1f MB |\n", float64(binary.Size())/1e6)
	stripped := filepath.Join(b.dir, "stripped")
	strip := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", stripped, "./cmd/piccolo")
	strip.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := strip.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	if binary, err = os.Stat(stripped); err != nil {
		return err
	}
	fmt.Fprintf(&t, "| stripped | %.1f MB |\n", float64(binary.Size())/1e6)
	for _, part := range []func(*bench, *strings.Builder) error{c.empty, c.idle, c.backlog, c.catchUp} {
		if err := part(b, &t); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, lastLine(t.String()))
	}
	return b.publish("start", t.String(), nil)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// started is an all-in-one on the data of dir, and how long it took to be
// ready.
func (c *startCmd) started(b *bench, s *stage) (subject, time.Duration, error) {
	k := b.allInOne(func(string) func(*stage, time.Duration) (loaded, error) { return nil }, "--stream-max-bytes", "4GiB")
	begin := time.Now()
	if err := k.start(s); err != nil {
		return k, 0, fmt.Errorf("%w: %s", err, s.said())
	}
	return k, time.Since(begin), nil
}

func (c *startCmd) empty(b *bench, t *strings.Builder) error {
	var took []time.Duration
	for range 9 {
		s, err := b.newStage()
		if err != nil {
			return err
		}
		_, d, err := c.started(b, s)
		s.stop()
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	slices.Sort(took)
	fmt.Fprintf(t, "| start to ready, on nothing | %d ms |\n", took[len(took)/2].Milliseconds())
	return nil
}

func (c *startCmd) idle(b *bench, t *strings.Builder) error {
	s, err := b.newStage()
	if err != nil {
		return err
	}
	defer s.stop()
	if _, _, err := c.started(b, s); err != nil {
		return err
	}
	time.Sleep(5 * time.Second)
	cpu, wrote := s.cpu(), s.written()
	time.Sleep(c.Idle)
	fmt.Fprintf(t, "| idle: memory | %d MB |\n", s.rss()*1024/1e6)
	fmt.Fprintf(t, "| idle: CPU | %.2f %% of a core |\n", 100*(s.cpu()-cpu).Seconds()/c.Idle.Seconds())
	fmt.Fprintf(t, "| idle: written to disk in %s | %d bytes |\n", c.Idle, s.written()-wrote)
	return nil
}

// written is how many bytes the measured processes had written to disk.
func (s *stage) written() (total int64) {
	for _, pid := range s.tree() {
		io, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
		for line := range strings.SplitSeq(string(io), "\n") {
			if value, ok := strings.CutPrefix(line, "write_bytes: "); ok {
				n, _ := strconv.ParseInt(value, 10, 64)
				total += n
			}
		}
	}
	return total
}

func (c *startCmd) backlog(b *bench, t *strings.Builder) error {
	s, err := b.newStage()
	if err != nil {
		return err
	}
	defer s.stop()
	deltas, err := fill(s, func(_ int, bytes int64) bool { return bytes < c.Bytes })
	if err != nil {
		return err
	}
	_, took, err := c.started(b, s)
	if err != nil {
		return err
	}
	fmt.Fprintf(t, "| start to ready, with a backlog of %.1f GB, %s deltas | %d ms |\n", float64(c.Bytes)/1e9, thousands(float64(deltas)), took.Milliseconds())
	return nil
}

func (c *startCmd) catchUp(b *bench, t *strings.Builder) error {
	s, err := b.newStage()
	if err != nil {
		return err
	}
	defer s.stop()
	if _, err := fill(s, func(deltas int, _ int64) bool { return deltas < c.Deltas }); err != nil {
		return err
	}
	k, _, err := c.started(b, s)
	if err != nil {
		return err
	}
	begin, before := time.Now(), figures{}
	for end := begin.Add(10 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		now, err := metrics(k.scrape)
		if err != nil {
			return err
		}
		before = now
		if now.increments >= float64(c.Deltas) || time.Now().After(end) {
			break
		}
	}
	took := time.Since(begin)
	fmt.Fprintf(t, "| catching up with %s deltas for 1,000,000 keys | %.1f s, %s deltas/s, CPU %s a delta, %s rows |\n", thousands(before.increments),
		took.Seconds(), thousands(before.increments/took.Seconds()), micro(float64(s.cpu().Nanoseconds())/before.increments), thousands(before.rows))
	return nil
}

// fill puts batches of 10,000 deltas into the stream of a stage's data
// directory, as ingresses would have while the writer was away.
func fill(s *stage, more func(deltas int, bytes int64) bool) (deltas int, err error) {
	log := slog.New(slog.DiscardHandler)
	const maxBytes = 4 << 30
	server, err := bus.StartServer(bus.ServerOptions{Dir: filepath.Join(s.dir, "data", "jetstream"), Listen: "off", Lazy: true, MaxBytes: maxBytes, Log: log})
	if err != nil {
		return 0, err
	}
	defer server.Shutdown()
	conn, err := server.Connect("bench", log)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	ctx := context.Background()
	if _, err := conn.Provision(ctx, bus.StreamOptions{Partitions: 1, MaxBytes: maxBytes}); err != nil {
		return 0, err
	}
	producer := piccolo.NewProducer()
	const per = 10_000
	var bytes int64
	for seq := uint64(1); more(deltas, bytes); seq++ {
		batch := piccolo.Batch{BatchID: piccolo.BatchID{Producer: producer, Seq: seq}, Increments: per, Accepted: time.Now()}
		for range per {
			batch.Deltas = append(batch.Deltas, piccolo.Delta{Key: rowKey(rand.IntN(1_000_000)), Value: 1})
		}
		m := piccolo.Message{ID: batch.BatchID, Keys: per, Increments: per, Data: piccolo.AppendBatch(nil, &batch)}
		if err := conn.Publish(ctx, &m); err != nil {
			return 0, err
		}
		deltas += per
		bytes += int64(len(m.Data))
	}
	return deltas, nil
}
