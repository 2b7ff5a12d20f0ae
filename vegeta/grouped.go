package main

import "strconv"

// grouped writes an integer with a comma between thousands.
func grouped[T int | int64](n T) string {
	s, sign := strconv.FormatInt(int64(n), 10), ""
	if n < 0 {
		s, sign = s[1:], "-"
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
