package ingress_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// spooling is an ingress whose stream is away and that may not wait for it.
func spooling(t *testing.T, dir string) *door {
	t.Helper()
	d := open(t, func(c *ingress.Config) {
		c.Spool, c.DrainTimeout = dir, time.Millisecond
		c.MaxMessage = piccolo.MaxHeaderSize + 2*piccolo.MaxDeltaSize(c.MaxKeyBytes)
	})
	d.stream.fails(errors.New("away"))
	return d
}

// successor is the next process on the same spool.
func successor(t *testing.T, dir string) *door {
	t.Helper()
	return prepare(t, func(c *ingress.Config) { c.Spool, c.Producer = dir, "q" })
}

func spooled(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// What the stream would not take before the deadline is on disk when the
// ingress has stopped, and the next one publishes it under its old ids.
func TestSpoolRoundTrip(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "spool") // made when it is needed
	first := spooling(t, dir)
	receipts := make(map[string]string)
	for i := range 10 {
		key := strings.Repeat(strconv.Itoa(i), 60)
		r := first.count(key, "memory")
		first.acked(r, 202, "memory")
		receipts[key] = r.header.Get("Piccolo-Receipt")
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if sums := first.stream.sums(); len(sums) != 0 {
		t.Fatalf("stored %v in a stream that is away", sums)
	}
	var want []string
	for seq := range 5 { // 10 keys, 2 a batch
		want = append(want, "p.0."+strconv.Itoa(seq+1)+".batch")
	}
	if got := spooled(t, dir); !slices.Equal(got, want) {
		t.Fatalf("the spool holds %q, want %q", got, want)
	}

	second := successor(t, dir)
	second.start()
	for range want {
		<-second.stream.asked
	}
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	if got := spooled(t, dir); len(got) != 0 {
		t.Errorf("the spool still holds %q", got)
	}
	for i, b := range second.stream.batches {
		if id := (piccolo.BatchID{Producer: "p", Seq: uint64(i + 1)}); b.BatchID != id {
			t.Errorf("%s was published as number %d, want %s", b.BatchID, i+1, id)
		}
		for _, delta := range b.Deltas {
			if receipts[delta.Key] != b.BatchID.String() {
				t.Errorf("%s is in batch %s, its receipt says %s", delta.Key, b.BatchID, receipts[delta.Key])
			}
			if delta.Value != 1 {
				t.Errorf("%s: %d, want 1", delta.Key, delta.Value)
			}
		}
	}
	if sums := second.stream.sums(); len(sums) != 10 {
		t.Errorf("%d keys stored, want 10", len(sums))
	}
}

// A spool that could not be published stays for the process after the next.
func TestSpoolStaysWhileTheStreamIsAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := spooling(t, dir)
	first.count("foo", "memory")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := successor(t, dir)
	second.stream.fails(errors.New("still away"))
	second.start()
	<-second.stream.asked
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	if got := spooled(t, dir); !slices.Equal(got, []string{"p.0.1.batch"}) {
		t.Errorf("the spool holds %q", got)
	}
}

// What is damaged is named and left where it is; the rest is published.
func TestSpoolDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	batch := func(seq uint64) []byte {
		data := piccolo.AppendBatch(nil, &piccolo.Batch{
			BatchID:    piccolo.BatchID{Producer: "p", Seq: seq},
			Increments: 1,
			Accepted:   time.Unix(1, 0),
			Deltas:     []piccolo.Delta{{Key: "foo", Value: int64(seq)}},
		})
		return binary.BigEndian.AppendUint64(data, piccolo.Hash(data))
	}
	flipped := batch(3)
	flipped[len(flipped)-9] ^= 1 // in the delta's value
	for name, data := range map[string][]byte{
		"p.0.1.batch":      batch(1),
		"p.0.2.batch":      batch(2)[:20],
		"p.0.3.batch":      flipped,
		"q.0.7.batch":      batch(1),
		"q.0.8.batch":      nil,
		"yesterday.batch":  batch(1),
		"p.0.10.batch":     batch(10),
		"p.0.11.batch.tmp": batch(11)[:20], // a stop that was killed
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := successor(t, dir)
	d.stream.gaps = true
	d.start()
	<-d.stream.asked
	<-d.stream.asked
	d.acked(d.count("bar", "stored"), 200, "stored")
	if got := d.in.Progress()[0].Steps; got != 1 {
		t.Errorf("%d steps, want that of bar: those of the spool are not the flusher's", got)
	}
	if err := d.stop(); err != nil {
		t.Errorf("a stop fails for what an earlier one left: %v", err)
	}
	err := d.in.CheckSpool(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"p.0.2.batch: it is damaged", "p.0.3.batch: it is damaged", "q.0.7.batch: it holds batch p.0.1", "q.0.8.batch: it is damaged", `"yesterday"`} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v: does not name %s", err, name)
		}
	}
	if strings.Contains(err.Error(), "p.0.11") {
		t.Errorf("%v: takes half a file for a batch", err)
	}
	if sums := d.stream.sums(); sums["foo"] != 1+10 || sums["bar"] != 1 {
		t.Errorf("stored %v, want foo %d and bar 1", sums, 1+10)
	}
	want := []string{"p.0.11.batch.tmp", "p.0.2.batch", "p.0.3.batch", "q.0.7.batch", "q.0.8.batch", "yesterday.batch"}
	if got := spooled(t, dir); !slices.Equal(got, want) {
		t.Errorf("the spool holds %q, want %q", got, want)
	}
}

// Increments that can go nowhere are a failure, with their number.
func TestSpoolThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := spooling(t, filepath.Join(file, "spool"))
	d.count("foo", "memory")
	if err := d.stop(); err == nil || !strings.Contains(err.Error(), "spool") || !strings.Contains(err.Error(), "p.0.1") {
		t.Errorf("%v: want an error that names the spool and the batch", err)
	}
}
