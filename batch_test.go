package piccolo_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

func TestBatchIDTravelsAsText(t *testing.T) {
	for _, tt := range []struct {
		id   piccolo.BatchID
		text string
	}{
		{piccolo.BatchID{Producer: "0123456789abcdef", Partition: 0, Seq: 1}, "0123456789abcdef.0.1"},
		{piccolo.BatchID{Producer: "a-B_9", Partition: 1023, Seq: math.MaxInt64}, "a-B_9.1023.9223372036854775807"},
	} {
		if got := tt.id.String(); got != tt.text {
			t.Errorf("got %s, want %s", got, tt.text)
		}
		if got, err := piccolo.ParseBatchID(tt.text); err != nil || got != tt.id {
			t.Errorf("%s: got %+v, error %v", tt.text, got, err)
		}
	}
}

func TestBatchIDSurvivesTravel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := ids().Draw(t, "id")
		if got, err := piccolo.ParseBatchID(id.String()); err != nil || got != id {
			t.Fatalf("%s: got %v, error %v", id, got, err)
		}
	})
}

func TestParseBatchIDRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":                   "",
		"no partition and no seq":   "p",
		"no seq":                    "p.0",
		"a part too many":           "p.0.1.2",
		"no producer":               ".0.1",
		"a producer with a space":   "p q.0.1",
		"a producer with a slash":   "../p.0.1",
		"a producer of 65 letters":  strings.Repeat("p", 65) + ".0.1",
		"a partition below 0":       "p.-1.1",
		"a partition too high":      "p.1024.1",
		"a partition with a sign":   "p.+1.1",
		"a partition in hex":        "p.0x1.1",
		"an empty partition":        "p..1",
		"seq 0":                     "p.0.0",
		"an empty seq":              "p.0.",
		"a seq below 0":             "p.0.-1",
		"a seq beyond the ledger's": "p.0.9223372036854775808",
		"a line break behind":       "p.0.1\n",
	} {
		if id, err := piccolo.ParseBatchID(s); err == nil {
			t.Errorf("%s: %q was read as %v", name, s, id)
		}
	}
}

func TestNewProducer(t *testing.T) {
	a, b := piccolo.NewProducer(), piccolo.NewProducer()
	if a == b {
		t.Errorf("two processes have the same id %s", a)
	}
	if err := piccolo.CheckProducer(a); err != nil {
		t.Error(err)
	}
}

// The ledger's sum is exact modulo 2^64, however far the true one leaves int64.
func TestBatchSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := batches().Draw(t, "batch")
		sum := new(big.Int)
		for _, d := range b.Deltas {
			if d.Op == piccolo.OpAdd {
				sum.Add(sum, big.NewInt(d.Value))
			}
		}
		if got, want := b.Sum(), wrapped(sum); got != want {
			t.Fatalf("got %d, want %v modulo 2^64, which is %d", got, sum, want)
		}
	})
}

func TestBatchKeys(t *testing.T) {
	deltas := make([]piccolo.Delta, 3)
	b := piccolo.Batch{Onces: []piccolo.Once{{Deltas: deltas[:2]}, {Deltas: deltas[:1]}}, Deltas: deltas}
	if got, want := b.Keys(), 2+1+3; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

// wrapped is x modulo 2^64, as an int64.
func wrapped(x *big.Int) int64 {
	return int64(new(big.Int).And(x, new(big.Int).SetUint64(math.MaxUint64)).Uint64())
}
