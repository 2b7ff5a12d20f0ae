package piccolo_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

func TestCheckKey(t *testing.T) {
	for _, tt := range []struct{ name, key, want string }{
		{"a letter", "a", ""},
		{"a space", " ", ""},
		{"control characters", "a\n\x7f", ""},
		{"accents and emoji", "é🙂", ""},
		{"as long as it may be", strings.Repeat("k", 16), ""},
		{"as long as it may be, in bytes", strings.Repeat("é", 8), ""},
		{"nothing", "", "is blank"},
		{"a byte too long", strings.Repeat("k", 17), "is 17 bytes long, the limit is 16"},
		{"a byte too long, if not a character", strings.Repeat("é", 8) + "k", "is 17 bytes long, the limit is 16"},
		{"NUL", "a\x00b", "contains a NUL byte"},
		{"NUL behind an accent", "é\x00", "contains a NUL byte"},
		{"a lone byte", "a\xff", "is not valid UTF-8"},
		{"a character cut short", "a\xc3", "is not valid UTF-8"},
		{"half a surrogate pair", "\xed\xa0\x80", "is not valid UTF-8"},
		{"more bytes than needed", "\xc0\xaf", "is not valid UTF-8"},
	} {
		for _, err := range []error{piccolo.CheckKey(tt.key, 16), piccolo.CheckKey([]byte(tt.key), 16)} {
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
			}
		}
	}
}

func TestHash(t *testing.T) {
	// Published values of XXH64 with seed 0. A hash that changed would move
	// every key to another partition.
	for key, want := range map[string]uint64{
		"":     0xef46db3751d8e999,
		"a":    0xd24ec4f1a98c6e5b,
		"as":   0x1c330fb2d66be179,
		"asd":  0x631c37ce72a97393,
		"asdf": 0x415872f599cea71e,
		"Call me Ishmael. Some years ago--never mind how long precisely-": 0x02a2e85470d6fd96,
	} {
		if got := piccolo.Hash(key); got != want {
			t.Errorf("%q: got %#x, want %#x", key, got, want)
		}
		if got := piccolo.Hash([]byte(key)); got != want {
			t.Errorf("%q as bytes: got %#x, want %#x", key, got, want)
		}
	}
}

func TestPartition(t *testing.T) {
	for _, tt := range []struct {
		key  string
		n    int
		want int
	}{
		{"a", 1, 0},
		{"a", 2, 1},    // …5b is odd
		{"a", 16, 0xb}, // its last hexadecimal digit
		{"a", 1024, 0x25b},
		{"asdf", 16, 0xe},
		{"asdf", 10, 8}, // its last decimal digit, of 4708639809588864798
	} {
		if got := piccolo.Partition(piccolo.Hash(tt.key), tt.n); got != tt.want {
			t.Errorf("%s among %d: got %d, want %d", tt.key, tt.n, got, tt.want)
		}
	}
}

func TestPartitionIsOneOfN(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, piccolo.MaxPartitions).Draw(t, "n")
		if got := piccolo.Partition(rapid.Uint64().Draw(t, "hash"), n); got < 0 || got >= n {
			t.Fatalf("got %d", got)
		}
	})
}

func TestAckTravelsAsText(t *testing.T) {
	for ack, text := range map[piccolo.Ack]string{
		piccolo.AckMemory:  "memory",
		piccolo.AckStored:  "stored",
		piccolo.AckApplied: "applied",
	} {
		if got, err := ack.MarshalText(); err != nil || string(got) != text {
			t.Errorf("got %s, error %v, want %s", got, err, text)
		}
		var got piccolo.Ack
		if err := got.UnmarshalText([]byte(text)); err != nil || got != ack {
			t.Errorf("%s: got %v, error %v", text, got, err)
		}
	}
	for _, text := range []string{"", "Stored", "stored ", "2"} {
		if ack, err := piccolo.ParseAck(text); err == nil {
			t.Errorf("%q was read as %v", text, ack)
		}
	}
}
