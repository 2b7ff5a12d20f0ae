package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// serveNATS is a NATS server that fsyncs before it acknowledges.
func serveNATS(addr, dir string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	ns, err := server.NewServer(&server.Options{
		ServerName: "bench", Host: host, Port: number, JetStream: true, StoreDir: dir, SyncAlways: true,
	})
	if err != nil {
		return err
	}
	ns.Start()
	ns.WaitForShutdown()
	return nil
}

// counterStream has a counter for each subject of a stream, and as many
// publishes on their way as other peers have connections.
func (b *bench) counterStream() subject {
	addr := freeAddr()
	return subject{
		start: func(s *stage) error {
			if err := s.serve(b.self, "serve", "nats", addr, "--dir", filepath.Join(s.dir, "jetstream")); err != nil {
				return err
			}
			return listening(addr)
		},
		load: func(_ *stage, d time.Duration) (l loaded, err error) {
			out, err := exec.Command("taskset", "-c", loadCore, b.self, "count-in-nats", addr, d.String(),
				"--connections", strconv.Itoa(b.Connections), "--keys", strconv.Itoa(b.Keys)).Output()
			if err != nil {
				return l, fmt.Errorf("the load for NATS: %w", err)
			}
			_, err = fmt.Sscan(string(out), &l.increments, &l.p50, &l.p99)
			return l, err
		},
	}
}

// countCmd is the load for the counter stream, in a process of its own.
type countCmd struct {
	Addr string        `arg:""`
	For  time.Duration `arg:""`
}

func (c *countCmd) Run(b *bench) error {
	nc, err := nats.Connect(c.Addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx := context.Background()
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "COUNTERS", Subjects: []string{"count.*"}, AllowMsgCounter: true, AllowDirect: true})
	if err != nil {
		return err
	}
	var (
		all  sync.WaitGroup
		took = make([][]time.Duration, b.Connections)
		errs = make([]error, b.Connections)
		end  = time.Now().Add(c.For)
	)
	for i := range b.Connections {
		all.Go(func() {
			for start := time.Now(); start.Before(end); start = time.Now() {
				msg := nats.NewMsg("count.key-" + strconv.Itoa(rand.IntN(b.Keys)))
				msg.Header.Set("Nats-Incr", strconv.Itoa(rand.IntN(201)-100))
				if _, errs[i] = js.PublishMsg(ctx, msg); errs[i] != nil {
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	latencies := slices.Concat(took...)
	slices.Sort(latencies)
	n := len(latencies)
	if n == 0 {
		return errors.New("nothing was counted")
	}
	fmt.Println(n, int64(latencies[n/2]), int64(latencies[n*99/100]))
	return nil
}
