package piccolo_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

func TestReceiptTravelsAsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := piccolo.Receipt(rapid.SliceOfN(ids(), 1, 5).Draw(t, "receipt"))
		got, err := piccolo.ParseReceipt(r.String())
		if err != nil || !slices.Equal(got, r) {
			t.Fatalf("%s: got %s, error %v", r, got, err)
		}
	})
}

func TestParseReceiptRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":         "",
		"no id":           "received",
		"a comma behind":  "p.0.1,",
		"a comma before":  ",p.0.1",
		"a space between": "p.0.1, p.1.1",
		"one bad of two":  "p.0.1,p.0.0",
	} {
		if r, err := piccolo.ParseReceipt(s); err == nil {
			t.Errorf("%s: %q was read as %v", name, s, r)
		}
	}
}

// A read of a key waits for no batch of another partition.
func TestReceiptIn(t *testing.T) {
	r := piccolo.Receipt{
		{Producer: "p", Partition: 0, Seq: 1},
		{Producer: "p", Partition: 2, Seq: 1},
		{Producer: "p", Partition: 0, Seq: 2},
	}
	for partition, want := range map[int]string{0: "p.0.1,p.0.2", 1: "", 2: "p.2.1"} {
		if got := r.In(partition).String(); got != want {
			t.Errorf("partition %d: got %q, want %q", partition, got, want)
		}
	}
}

// Clients send receipts back in a URL. What is taken for one names batches, and
// means the same when it travels again.
func FuzzParseReceipt(f *testing.F) {
	for _, s := range []string{"", "p.0.1", "5c1d4a6e8f90b2c3.0.17,5c1d4a6e8f90b2c3.1.2", "p.0.1,", "p.00.01", "p.1024.1", "p.0.0", "p.0.9223372036854775808", "*.0.1", "p.0.1,p.0.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := piccolo.ParseReceipt(s)
		if err != nil {
			return
		}
		for _, id := range r {
			if piccolo.CheckProducer(id.Producer) != nil || id.Partition < 0 || id.Partition >= piccolo.MaxPartitions || id.Seq < 1 || id.Seq > piccolo.MaxSeq {
				t.Errorf("%q: %+v is no batch's", s, id)
			}
		}
		if again, err := piccolo.ParseReceipt(r.String()); err != nil || !slices.Equal(again, r) {
			t.Errorf("%q is %q, which is %v, %v", s, r, again, err)
		}
	})
}
