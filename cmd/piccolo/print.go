package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// printJSON writes what a command found for a program to read.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printLine writes an object as one line of JSON.
func printLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// grouped writes a number as people read it: 1,234,567.
func grouped[T int | int64 | uint64](n T) string {
	s := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural writes a number with what it counts: 1 batch, 1,234 batches.
func plural[T int | int64 | uint64](n T, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + more
}

// bytesText writes a size as people read it: 1.5 MiB.
func bytesText[T int64 | uint64](n T) string {
	const units = "KMGTPE"
	f, unit := float64(n), -1
	for f >= 1024 && unit < len(units)-1 {
		f /= 1024
		unit++
	}
	if unit < 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", f, units[unit])
}

// ageText writes how long ago something was, to what matters of it.
func ageText(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// visible writes a key so that it can neither break a line nor play tricks with
// a terminal.
func visible(key string) string {
	for _, r := range key {
		if tricky(r) || r == '"' || r == '\\' || r == ' ' {
			return fmt.Sprintf("%+q", key)
		}
	}
	return key
}

// harmless does the same for what is said in words, where a key may be among
// them.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if tricky(r) {
			return ' '
		}
		return r
	}, text)
}

// tricky says whether a character controls a terminal, or hides or turns around
// what is beside it.
func tricky(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
