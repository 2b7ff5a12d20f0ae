package bus_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/bus"
	"github.com/piccolo-counter/piccolo/internal/port"
)

// A cluster whose servers have just started has no leader for a while, which is
// waited for, and named when there is no more time. What is not given when the
// stream is provisioned again stays as it is: three replicas do not become one.
func TestProvisionInACluster(t *testing.T) {
	t.Parallel()
	routes := []string{port.Free(t), port.Free(t), port.Free(t)}
	run := func(i int) string {
		return runServer(t, fmt.Sprintf("server_name: n%d\ncluster { name: c, listen: %q, routes: [\"nats://%s\"] }\n", i, routes[i], strings.Join(routes, `", "nats://`)))
	}
	b, err := bus.Connect(bus.Remote{URL: run(0)}, "test", quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	soonOver, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	o := bus.StreamOptions{Partitions: 2, MaxBytes: 1 << 20, Replicas: 3, Version: "1"}
	if _, err := b.Provision(soonOver, o); err == nil || !strings.Contains(err.Error(), "most of the servers must run") {
		t.Errorf("one server of three: got error %v", err)
	}
	run(1)
	run(2)
	if _, err := b.Provision(soon(t), o); err != nil {
		t.Fatal(err)
	}
	p, err := b.Provision(soon(t), bus.StreamOptions{Version: "1"})
	if err != nil || p.Replicas != 3 || len(p.Changed) > 0 {
		t.Errorf("%+v, %v", p, err)
	}
	i, err := b.Inspect(soon(t))
	if err != nil || i.Replicas != 3 || i.MaxBytes != 1<<20 || i.Partitions != 2 {
		t.Errorf("%+v, %v", i, err)
	}
}
