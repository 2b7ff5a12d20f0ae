package piccolo_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

func TestSeqSet(t *testing.T) {
	for _, tt := range []struct {
		name      string
		add       []uint64
		watermark uint64
		above     string
		max       uint64
		missing   uint64
	}{
		{"nothing", nil, 0, "", 0, 0},
		{"in order", []uint64{1, 2, 3}, 3, "", 3, 0},
		{"the later half first", []uint64{4, 5, 6}, 0, "4-6", 6, 3},
		{"and then the earlier", []uint64{4, 5, 6, 1, 2, 3}, 6, "", 6, 0},
		{"backwards", []uint64{3, 2, 1}, 3, "", 3, 0},
		{"every other", []uint64{1, 3, 5, 7}, 1, "3,5,7", 7, 3}, // 2, 4, 6
		{"a gap closed between two ranges", []uint64{3, 5, 4}, 0, "3-5", 5, 2},
		{"a range grown downwards", []uint64{5, 4}, 0, "4-5", 5, 3},
		{"the largest there is", []uint64{1, piccolo.MaxSeq}, 1, "9223372036854775807", piccolo.MaxSeq, piccolo.MaxSeq - 2},
	} {
		var s piccolo.SeqSet
		for _, seq := range tt.add {
			if !s.Add(seq) {
				t.Errorf("%s: %d was in it before", tt.name, seq)
			}
			if s.Add(seq) {
				t.Errorf("%s: %d was not in it after", tt.name, seq)
			}
		}
		if s.Watermark() != tt.watermark || s.Above() != tt.above || s.Max() != tt.max || s.Missing() != tt.missing {
			t.Errorf("%s: got watermark %d above %q max %d missing %d, want %d %q %d %d", tt.name,
				s.Watermark(), s.Above(), s.Max(), s.Missing(), tt.watermark, tt.above, tt.max, tt.missing)
		}
	}
}

// A SeqSet is a set of numbers: it agrees with a map, step by step, and with
// what is read back from its text.
func TestSeqSetIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s piccolo.SeqSet
		model := make(map[uint64]bool)
		most := uint64(0)
		for _, seq := range rapid.SliceOf(rapid.Uint64Range(1, 40)).Draw(t, "seqs") {
			if got, want := s.Add(seq), !model[seq]; got != want {
				t.Fatalf("Add(%d): got %v, want %v", seq, got, want)
			}
			model[seq] = true
			most = max(most, seq)
		}
		watermark, missing := uint64(0), uint64(0)
		for model[watermark+1] {
			watermark++
		}
		for seq := uint64(1); seq <= 42; seq++ {
			if got := s.Contains(seq); got != model[seq] {
				t.Fatalf("Contains(%d): got %v, want %v", seq, got, model[seq])
			}
			if seq < most && !model[seq] {
				missing++
			}
		}
		if s.Watermark() != watermark || s.Max() != most || s.Missing() != missing {
			t.Fatalf("got watermark %d max %d missing %d, want %d %d %d",
				s.Watermark(), s.Max(), s.Missing(), watermark, most, missing)
		}
		again, err := piccolo.ParseSeqSet(s.Watermark(), s.Above())
		if err != nil {
			t.Fatal(err)
		}
		for seq := uint64(1); seq <= 42; seq++ {
			if again.Contains(seq) != model[seq] {
				t.Fatalf("%d above %q: Contains(%d): got %v, want %v", s.Watermark(), s.Above(), seq, again.Contains(seq), model[seq])
			}
		}
		if again.Above() != s.Above() {
			t.Fatalf("got %q, want %q", again.Above(), s.Above())
		}
	})
}

func TestParseSeqSetRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		above string // 10
	}{
		{"no number", "x"},
		{"a space", "12, 14"},
		{"a sign", "+12"},
		{"a comma behind", "12,"},
		{"no end", "12-"},
		{"no start", "-12"},
		{"two dashes", "12-13-14"},
		{"beyond the largest seq", "9223372036854775808"},
		{"a range that ends before it starts", "14-12"},
		{"below the watermark", "9"},
		{"the watermark", "10"},
		{"next to the watermark, so not above it", "11"},
		{"out of order", "15,12"},
		{"the same twice", "12,12"},
		{"ranges that overlap", "12-15,15-16"},
		{"ranges that touch", "12-13,14"},
	} {
		if s, err := piccolo.ParseSeqSet(10, tt.above); err == nil {
			t.Errorf("%s: %q above 10 was read as %d above %q", tt.name, tt.above, s.Watermark(), s.Above())
		}
	}
}
