package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

// Of four partitions, one's writer hangs and one has none: the numbers of the
// others are found all the same, and what is missing is said.
func TestLookupWithoutSomeWriters(t *testing.T) {
	t.Parallel()
	server, err := bus.StartServer(bus.ServerOptions{Dir: t.TempDir(), Listen: "off", MaxBytes: 1 << 20, Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	conn, err := server.Connect("test", discard)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := newService(setting{role: "ingress", log: discard, errors: new(lastError), conn: conn, dir: t.TempDir(), partitions: 4})
	for partition, answers := range []bool{false, true, true} {
		stop, err := conn.Serve(partition, queryVersion, func(ctx context.Context, q piccolo.Query) (a piccolo.Answer, err error) {
			if !answers {
				<-ctx.Done()
				return a, ctx.Err()
			}
			return piccolo.Answer{Partitions: []int{partition}, Numbers: []piccolo.Number{{Key: fmt.Sprintf("%sto %d", q.Page.Prefix, partition), Value: 7}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		s.deployment.Take(piccolo.Report{ID: fmt.Sprint("w", partition), Host: fmt.Sprint(partition), Up: 1, Writer: &piccolo.WriterReport{Partitions: []int{partition}}})
	}
	s.deployment.Tick(time.Now())
	// The one that hangs takes all of it, and on a busy machine the others some.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	numbers, err := s.lookup(ctx, "key ", 10)
	if want := []piccolo.Number{{Key: "key to 1", Value: 7}, {Key: "key to 2", Value: 7}}; !slices.Equal(numbers, want) {
		t.Errorf("found %v, want %v", numbers, want)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "without partitions 0, 3: ") {
		t.Errorf("missing: %v", err)
	}
}
