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
