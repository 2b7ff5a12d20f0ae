package ingress_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

func TestAckModeIsChosenPerRequest(t *testing.T) {
	t.Parallel()
	doors := make(map[piccolo.Ack]*door)
	for _, byDefault := range []piccolo.Ack{piccolo.AckMemory, piccolo.AckStored, piccolo.AckApplied} {
		doors[byDefault] = open(t, func(c *ingress.Config) { c.Ack = byDefault })
		doors[byDefault].commitsAll()
	}
	for _, c := range []struct {
		byDefault piccolo.Ack
		header    []string
		query     string
		status    int
		held      string
	}{
		{piccolo.AckStored, nil, "", 200, "stored"},
		{piccolo.AckMemory, nil, "", 202, "memory"},
		{piccolo.AckApplied, nil, "", 200, "applied"},
		{piccolo.AckStored, []string{"memory"}, "", 202, "memory"},
		{piccolo.AckStored, []string{"applied"}, "", 200, "applied"},
		{piccolo.AckMemory, []string{"stored"}, "", 200, "stored"},
		{piccolo.AckStored, nil, "&ack=memory", 202, "memory"},
		{piccolo.AckStored, nil, "&ack=applied", 200, "applied"},
		{piccolo.AckMemory, nil, "&ack=stored", 200, "stored"},
		{piccolo.AckMemory, nil, "&ack=s%74ored", 200, "stored"},
		{piccolo.AckStored, []string{"memory"}, "&ack=memory", 202, "memory"},
		{piccolo.AckStored, []string{"memory", "memory"}, "", 202, "memory"},
	} {
		name := "default " + c.byDefault.String() + ", header " + strings.Join(c.header, "+") + ", query " + c.query
		t.Run(name, func(t *testing.T) {
			d := doors[c.byDefault].of(t)
			r := d.send(request{target: "/increment?key=foo&value=10" + c.query, header: http.Header{"Piccolo-Ack": c.header}})
			d.acked(r, c.status, c.held)
		})
	}
}

func TestAckModeThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct {
		name   string
		header []string
		query  string
		field  string
		detail string
	}{
		{"header and query differ", []string{"memory"}, "&ack=stored", "ack", `both "stored" and "memory"`},
		{"two headers differ", []string{"memory", "stored"}, "", "Piccolo-Ack", `both "memory" and "stored"`},
		{"query twice", nil, "&ack=memory&ack=stored", "ack", `given twice: "memory" and "stored"`},
		{"no mode", []string{"durable"}, "", "Piccolo-Ack", `none of memory, stored, applied: "durable"`},
		{"no mode in the query", nil, "&ack=durable", "ack", `none of memory, stored, applied: "durable"`},
		{"in capitals", []string{"Memory"}, "", "Piccolo-Ack", `"Memory"`},
		{"blank header", []string{""}, "", "Piccolo-Ack", `none of memory, stored, applied: ""`},
		{"blank query", nil, "&ack=", "ack", `none of memory, stored, applied: ""`},
		{"query without =", nil, "&ack", "ack", `none of memory, stored, applied: ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d.of(t)
			p := d.refused(d.send(request{
				target: "/increment?key=foo&value=10" + c.query,
				header: http.Header{"Piccolo-Ack": c.header},
			}), 400)
			if p.Field != c.field || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("field %q, detail %q: want %q and %q", p.Field, p.Detail, c.field, c.detail)
			}
		})
	}
}

func TestStoredIsRepliedWhenTheStreamHasIt(t *testing.T) {
	t.Parallel()
	d := open(t)
	release := d.stream.hold()
	r := d.async(request{body: "key=foo&value=10"})
	<-d.stream.asked
	unanswered(t, r)
	release()
	d.acked(<-r, 200, "stored")
}

func TestMemoryIsRepliedAtOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	release := d.stream.hold()
	r := d.count("foo", "memory")
	d.acked(r, 202, "memory")
	select {
	case <-d.stream.asked:
		t.Fatal("published, though nobody waits and the interval is an hour")
	default:
	}
	release()
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if b := d.batch(r); b.Increments != 1 || b.Deltas[0].Key != "foo" {
		t.Errorf("the batch that was promised is %+v", b)
	}
}

func TestAppliedIsRepliedWithTheTotalAfterTheCommit(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.async(request{target: "/increment?ack=applied", body: "key=foo&value=-10"})
	<-d.stream.asked
	d.count("bar", "stored") // so that the stream has the batch before it
	id := piccolo.BatchID{Producer: "p", Partition: 0, Seq: 1}
	b, _ := d.stream.stored(id)
	if len(b.Deltas) != 1 || !b.Deltas[0].WantTotal {
		t.Fatalf("%+v: the writer is not asked for the total", b)
	}
	for _, other := range []piccolo.Applied{
		{Producer: "q", Partition: 0, Seqs: []uint64{1}},
		{Producer: "p", Partition: 1, Seqs: []uint64{1}},
		{Producer: "p", Partition: 0, Seqs: []uint64{2, 3}},
	} {
		d.in.Applied(other)
		unanswered(t, r)
	}
	d.in.Applied(piccolo.Applied{Producer: "p", Partition: 0, Seqs: []uint64{7, 1}, Totals: map[string]int64{"foo": 32}})
	a := d.acked(<-r, 200, "applied")
	if a.Value == nil || *a.Value != 42-10 {
		t.Errorf("value %v, want %d", a.Value, 42-10)
	}
	d.in.Applied(piccolo.Applied{Producer: "p", Partition: 0, Seqs: []uint64{1}}) // again, which is nothing
}

// Only who waits for the total costs the writer to report it.
func TestTotalIsWantedForTheKeysOfThoseWhoWait(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.commitsAll()
	d.count("foo", "memory")
	d.count("bar", "memory")
	r := d.count("bar", "applied")
	if a := d.acked(r, 200, "applied"); a.Value == nil || *a.Value != 1+1 {
		t.Errorf("value %v, want %d", a.Value, 1+1)
	}
	for _, delta := range d.batch(r).Deltas {
		if want := delta.Key == "bar"; delta.WantTotal != want {
			t.Errorf("%+v: want the total %t", delta, want)
		}
	}
}

// The notice of the commit may overtake the stream's acknowledgement.
func TestAppliedBeforeStored(t *testing.T) {
	t.Parallel()
	d := open(t)
	release := d.stream.hold()
	r := d.async(request{target: "/increment?ack=applied", body: "key=foo&value=10"})
	<-d.stream.asked
	d.in.Applied(piccolo.Applied{Producer: "p", Seqs: []uint64{1}, Totals: map[string]int64{"foo": 10}})
	d.acked(<-r, 200, "applied")
	release()
}

// A wait that runs into the ack timeout is no error, which would invite the
// client to send again what has been counted.
func TestAckTimeoutSaysWhatHolds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		ask    string
		stored bool
		status int
		held   string
	}{
		{"stored was asked, nothing holds", "stored", false, 202, "memory"},
		{"applied was asked, nothing holds", "applied", false, 202, "memory"},
		{"applied was asked, stored holds", "applied", true, 200, "stored"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := open(t, func(config *ingress.Config) {
				if !c.stored { // else the timeout is over when that is so
					config.AckTimeout = 10 * time.Millisecond
				}
			})
			release := d.stream.hold()
			if c.stored {
				release()
			}
			replied := d.async(request{target: "/increment?ack=" + c.ask, body: "key=foo&value=1"})
			if c.stored {
				d.progress(0, piccolo.Progress{Steps: 1})
				d.in.EndWaits()
			}
			r := <-replied
			a := d.acked(r, c.status, c.held)
			if a.Value != nil {
				t.Errorf("value %d, which nobody committed", *a.Value)
			}
			release()
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}
			if b := d.batch(r); b.Increments != 1 || b.Deltas[0].Value != 1 {
				t.Errorf("the batch that was promised is %+v", b)
			}
		})
	}
}

// Whatever was waited for, the receipt names the batch that has the increment.
func TestReceiptNamesTheBatchThatCarriesTheIncrement(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.Partitions = 3 })
	d.commitsAll()
	replies := make(map[string]reply)
	for i := range 60 {
		key := "key-" + strconv.Itoa(i)
		replies[key] = d.count(key, []string{"memory", "stored", "applied"}[i%3])
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	for key, r := range replies {
		b := d.batch(r)
		n := 0
		for _, delta := range b.Deltas {
			if delta.Key == key {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: batch %s has %d deltas of it", key, b.BatchID, n)
		}
	}
	if sums := d.stream.sums(); len(sums) != 60 {
		t.Errorf("%d keys stored, want 60", len(sums))
	}
}

// commitsAll has every batch committed, from nothing, as soon as it is stored.
func (d *door) commitsAll() {
	totals := make(map[string]int64)
	d.stream.answers(func(_ context.Context, m *piccolo.Message) error {
		var b piccolo.Batch
		if err := piccolo.DecodeBatch(m.Data, &b); err != nil {
			return err
		}
		a := piccolo.Applied{Producer: b.Producer, Partition: b.Partition, Seqs: []uint64{b.Seq}, Totals: make(map[string]int64)}
		d.stream.mu.Lock()
		defer d.stream.mu.Unlock()
		for _, delta := range b.Deltas {
			key := strings.Clone(delta.Key)
			totals[key] += delta.Value
			if delta.WantTotal {
				a.Totals[key] = totals[key]
			}
		}
		d.in.Applied(a)
		return nil
	})
}
