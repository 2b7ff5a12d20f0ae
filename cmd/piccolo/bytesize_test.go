package main

import (
	"testing"

	"pgregory.net/rapid"
)

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{
		"0": 0, "1048576": 1 << 20, "1MiB": 1 << 20, "1GiB": 1 << 30, "1.5KiB": 1536, "512B": 512, "-1": -1, "1GiB512MiB": 3 << 29,
	} {
		var got byteSize
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "many", "1.5", "MiB", "1 XB", "9223372036854775808", "99999999999GiB"} {
		var got byteSize
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

// What is printed is read as the same.
func TestByteSizeIsReadAsPrinted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := byteSize(rapid.Int64Range(0, 1<<50).Draw(t, "size"))
		var got byteSize
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", want, got, err, want)
		}
	})
}
