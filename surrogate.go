package piccolo

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// HasHalfPair says whether a string in raw, which must be valid JSON, has an
// escaped surrogate without its other half. encoding/json puts U+FFFD there,
// under which different keys would become one.
func HasHalfPair(raw []byte) bool {
	half := rune(0) // of a pair, whose other half must come next
	for i := 0; i < len(raw); i++ {
		r := rune(-1) // of an escape \uXXXX
		if raw[i] == '\\' {
			i++
			if raw[i] == 'u' {
				n, _ := strconv.ParseUint(string(raw[i+1:i+5]), 16, 32)
				r, i = rune(n), i+4
			}
		}
		switch {
		case half == 0 && utf16.IsSurrogate(r):
			half = r
		case half != 0 && utf16.DecodeRune(half, r) == utf8.RuneError:
			return true
		default:
			half = 0
		}
	}
	return false
}
