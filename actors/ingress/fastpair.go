package ingress

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// fastPair reads {"key":"…","value":10} from the start of b, as nearly every
// client writes it: in this order, without escapes, and with no blanks or one
// behind each colon and comma. It returns how many bytes that takes. The key is
// one that may be counted. Where anything is unusual or wrong it returns 0, and
// the general path says what. Invariant: what both take, both read the same.
func fastPair(b []byte, maxKey int) (key []byte, value int64, n int) {
	const shortest = len(`{"key":"a","value":1}`)
	if len(b) < shortest {
		return nil, 0, 0
	}
	i := 8
	switch binary.LittleEndian.Uint64(b) {
	case tightKey:
	case looseKey:
		if b[8] != '"' {
			return nil, 0, 0
		}
		i = 9
	default:
		return nil, 0, 0
	}
	start, wide := i, false
	for {
		if i+8 > len(b) {
			return nil, 0, 0 // what follows a key is longer than that
		}
		odd := oddBytes(binary.LittleEndian.Uint64(b[i:]))
		if odd == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(odd) / 8
		if b[i] < utf8.RuneSelf {
			break
		}
		wide = true
		i++
	}
	key = b[start:i]
	if len(key) == 0 || len(key) > maxKey || key[0] == ' ' || key[0] >= utf8.RuneSelf || wide && !utf8.Valid(key) {
		return nil, 0, 0 // a first letter that is ASCII and no blank: not all is blank
	}
	const rest = len(`", "value": `)
	if i+rest > len(b) {
		return nil, 0, 0
	}
	switch binary.LittleEndian.Uint64(b[i:]) {
	case tightValue:
		if b[i+8] != '"' || b[i+9] != ':' {
			return nil, 0, 0
		}
		i += 10
	case looseValue:
		if b[i+8] != 'e' || b[i+9] != '"' || b[i+10] != ':' {
			return nil, 0, 0
		}
		i += 11
	default:
		return nil, 0, 0
	}
	if b[i] == ' ' {
		i++
	}
	negative := i < len(b) && b[i] == '-'
	if negative {
		i++
	}
	first := i
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		value = value*10 + int64(b[i]-'0')
	}
	digits := i - first
	if digits == 0 || digits > 18 || b[first] == '0' && digits > 1 || i == len(b) || b[i] != '}' {
		return nil, 0, 0 // 18 digits are always within int64
	}
	if negative {
		value = -value
	}
	return key, value, i + 1
}

var (
	tightKey, looseKey     = word(`{"key":"`), word(`{"key": `)
	tightValue, looseValue = word(`","value`), word(`", "valu`)
)

// word is eight bytes as they are loaded.
func word(s string) uint64 { return binary.LittleEndian.Uint64([]byte(s)) }

// oddBytes has, in the highest bit of a byte of x, whether that byte ends or
// complicates a JSON string: a quote, a backslash, a control character, or a
// part of a letter that is not ASCII. Only the lowest of those bits is sure.
func oddBytes(x uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, backslash := x^ones*'"', x^ones*'\\'
	return ((x - ones*0x20) | (quote - ones) | (backslash - ones) | x) & highs
}
