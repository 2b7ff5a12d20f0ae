package bus_test

import (
	"strings"
	"testing"
)

// A stream grows only when all of it has been folded.
func TestGrow(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.Own("database", false)
	grow := func(want string) {
		t.Helper()
		before, err := r.Grow(soon(t), 6)
		switch {
		case want == "" && (err != nil || before != 3):
			t.Errorf("it had %d partitions, error %v", before, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("got error %v, want one that says %q", err, want)
		}
	}
	if n, err := r.GrewFrom(soon(t)); n != 0 || err != nil {
		t.Errorf("it grew from %d partitions, error %v, before it did", n, err)
	}
	r.publish(t, 1, 1, 2)
	grow("partition 1 that are not folded") // nobody has served it
	c, stop := r.subscribe(t, 1)
	deliveries := next(t, c, 2)
	grow("partition 1 that are not folded") // delivered
	if err := deliveries[0].Acker.Ack(); err != nil {
		t.Fatal(err)
	}
	until(t, "acked", func() bool {
		state, err := r.State(soon(t), 1)
		return err == nil && state.AckFloor == 1
	})
	grow("partition 1 that are not folded") // one of two acked
	if n, err := r.Partitions(soon(t)); n != 3 || err != nil {
		t.Errorf("%d partitions, error %v: it grew all the same", n, err)
	}
	if err := deliveries[1].Acker.Ack(); err != nil {
		t.Fatal(err)
	}
	until(t, "acked", func() bool {
		state, err := r.State(soon(t), 1)
		return err == nil && state.AckFloor == 2
	})
	stop()
	grow("") // though the stream still holds them
	if database, _, _, err := r.Owner(soon(t), 4); database != "database" || err != nil {
		t.Errorf("partition 4 belongs to %q, error %v; want the database that has 1", database, err)
	}
	r.publish(t, 4, 1, 1)
	if before, err := r.Grow(soon(t), 6); before != 6 || err != nil {
		t.Errorf("again: it had %d partitions, error %v", before, err)
	}
	if n, err := r.GrewFrom(soon(t)); n != 3 || err != nil {
		t.Errorf("it grew from %d partitions, error %v; want 3", n, err)
	}
}
