package bus_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/bus"
)

// join is another connection to the rig's server.
func (r *rig) join(t *testing.T) *rig {
	t.Helper()
	b, err := r.server.Connect("another", quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &rig{r.server, b, r.nc, r.js}
}

// metadata is what a partition's consumer says.
func (r *rig) metadata(t *testing.T, consumer string) map[string]string {
	t.Helper()
	return r.durable(t, consumer).Config.Metadata
}

// madeAt is when a consumer was made.
func (r *rig) madeAt(t *testing.T, consumer string) time.Time {
	t.Helper()
	return r.durable(t, consumer).Created
}

func (r *rig) durable(t *testing.T, consumer string) *jetstream.ConsumerInfo {
	t.Helper()
	c, err := r.js.Consumer(soon(t), bus.Stream, consumer)
	if err != nil {
		t.Fatal(err)
	}
	return c.CachedInfo()
}

// A partition belongs to the database of the writer that first subscribed, and
// to no other.
func TestPartitionBelongsToOneDatabase(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.publish(t, 1, 1, 2)
	r.Own("first", false)
	c, stop := r.subscribe(t, 1)
	next(t, c, 2)
	if got := r.metadata(t, "writer-1")["piccolo.database"]; got != "first" {
		t.Errorf("the consumer names database %q", got)
	}
	stop()

	other := r.join(t)
	other.Own("second", false)
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, piccolo.ErrOwned) {
			t.Fatalf("%s: got error %v, want %v", what, err, piccolo.ErrOwned)
		}
		for _, part := range []string{"partition 1", "database first", "second", "piccolo stream move"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
	_, err := other.Subscribe(soon(t), 1, drop, func(error) {})
	refused("Subscribe", err)
	if err := r.Rewind(soon(t), 1); err != nil {
		t.Fatal(err)
	}
	_, err = other.Subscribe(soon(t), 1, drop, func(error) {})
	refused("Subscribe after Rewind", err)
	other.subscribe(t, 2) // which is nobody's

	other.Own("second", true)
	c, _ = other.subscribe(t, 1)
	next(t, c, 2)
	if got := r.metadata(t, "writer-1")["piccolo.database"]; got != "second" {
		t.Errorf("adopted, the consumer names database %q", got)
	}
}

// Of two writers that come first at the same moment, with a database each, one has
// the partition, and the other is told whose it is.
func TestPartitionBelongsToOneOfTwoThatComeAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	for range 20 {
		if err := r.js.DeleteConsumer(soon(t), bus.Stream, "writer-0"); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Fatal(err)
		}
		errs := make(chan error)
		for _, database := range []string{"first", "second"} {
			writer := r.join(t)
			writer.Own(database, false)
			go func() {
				stop, err := writer.Subscribe(soon(t), 0, drop, func(error) {})
				if err == nil {
					stop()
				}
				errs <- err
			}()
		}
		first, second := <-errs, <-errs
		if (first == nil) == (second == nil) {
			t.Fatalf("one has it with error %v, the other with %v", first, second)
		}
		if err := errors.Join(first, second); !errors.Is(err, piccolo.ErrOwned) || !strings.Contains(err.Error(), "piccolo stream move") {
			t.Fatalf("got error %v, want %v", err, piccolo.ErrOwned)
		}
	}
}

// A backup of a database from before a partition came to it has its id, and none
// of the partition's numbers: it is refused, also after the consumer was made anew.
func TestCopyFromBeforeAMove(t *testing.T) {
	t.Parallel()
	r := start(t)
	if err := r.Assign(soon(t), 1, "database", "move"); err != nil {
		t.Fatal(err)
	}
	r.Own("database", false)
	r.Received(map[int][]string{1: {"earlier", "move"}})
	_, stop := r.subscribe(t, 1)
	stop()
	if err := r.Rewind(soon(t), 1); err != nil {
		t.Fatal(err)
	}
	for _, moves := range []map[int][]string{nil, {1: {"earlier"}, 2: {"move"}}} {
		for _, adopt := range []bool{false, true} {
			backup := r.join(t)
			backup.Own("database", adopt)
			backup.Received(moves)
			_, err := backup.Subscribe(soon(t), 1, drop, func(error) {})
			if !errors.Is(err, piccolo.ErrOwned) || !strings.Contains(err.Error(), "from before that move") {
				t.Errorf("moves %v: got error %v, want %v", moves, err, piccolo.ErrOwned)
			}
		}
	}
	if database, move, _, err := r.Owner(soon(t), 1); database != "database" || move != "move" || err != nil {
		t.Errorf("the partition belongs to %q by %q, error %v", database, move, err)
	}
}

// A copy of a database has its id. The writer that subscribed last has the
// partition, and the one before is told.
func TestCopyOfADatabaseSupersedes(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.Own("same", false)
	_, stop := r.subscribe(t, 0)
	if _, err := r.State(soon(t), 0); err != nil {
		t.Fatal(err)
	}
	copied := r.join(t)
	copied.Own("same", false)
	_, stopCopied := copied.subscribe(t, 0)
	if _, err := r.State(soon(t), 0); !errors.Is(err, piccolo.ErrFenced) {
		t.Errorf("the state of the one before: got error %v, want %v", err, piccolo.ErrFenced)
	}
	if _, err := copied.State(soon(t), 0); err != nil {
		t.Error(err)
	}

	// Its subscription ended by that, too. To subscribe again takes nothing back,
	// also where the other one has everything delivered again.
	refused := func() {
		t.Helper()
		if _, err := r.Subscribe(soon(t), 0, drop, func(error) {}); !errors.Is(err, piccolo.ErrFenced) {
			t.Errorf("the one before subscribes again: got error %v, want %v", err, piccolo.ErrFenced)
		}
		if _, err := copied.State(soon(t), 0); err != nil {
			t.Error(err)
		}
	}
	refused()
	stop()
	stopCopied()
	if err := copied.Rewind(soon(t), 0); err != nil {
		t.Fatal(err)
	}
	refused()
}
