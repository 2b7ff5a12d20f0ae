package ingress

import "math"

// parseValue reads an integer as clients write it: an optional sign and
// digits, nothing else, within int64. The reason for which it is none goes
// into a problem's detail.
func parseValue(raw []byte) (value int64, p *problem) {
	if len(raw) == 0 {
		return 0, bad("value", "is blank")
	}
	digits, negative := raw, false
	switch raw[0] {
	case '-':
		digits, negative = raw[1:], true
	case '+':
		digits = raw[1:]
	}
	if len(digits) == 0 {
		return 0, bad("value", "is not an integer: %s", quote(raw))
	}
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	var n uint64
	outside := false
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, bad("value", "is not an integer: %s", quote(raw))
		}
		d := uint64(c - '0')
		if n > (limit-d)/10 {
			outside = true // unless something that is no digit follows
			continue
		}
		n = n*10 + d
	}
	if outside {
		return 0, bad("value", "lies outside int64 (%d to %d): %s", math.MinInt64, math.MaxInt64, quote(raw))
	}
	if negative {
		return int64(-n), nil
	}
	return int64(n), nil
}
