package piccolo_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/piccolo-counter/piccolo"
)

func TestAdd(t *testing.T) {
	const least, most = math.MinInt64, math.MaxInt64
	for _, tt := range []struct {
		a, b, sum int64
		ok        bool
	}{
		{1, 2, 3, true},
		{0, 0, 0, true},
		{most, 0, most, true},
		{least, 0, least, true},
		{0, least, least, true},
		{most, least, -1, true},
		{most - 1, 1, most, true},
		{least + 1, -1, least, true},
		{most, 1, least, false},
		{1, most, least, false},
		{most, most, -2, false},
		{least, -1, most, false},
		{-1, least, most, false},
		{least, least, 0, false},
	} {
		if sum, ok := piccolo.Add(tt.a, tt.b); sum != tt.sum || ok != tt.ok {
			t.Errorf("%d + %d: got %d, %v, want %d, %v", tt.a, tt.b, sum, ok, tt.sum, tt.ok)
		}
	}
}

func TestAddIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := values().Draw(t, "a"), values().Draw(t, "b")
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		sum, ok := piccolo.Add(a, b)
		if ok != want.IsInt64() || sum != wrapped(want) {
			t.Fatalf("%d + %d: got %d, %v, want %v", a, b, sum, ok, want)
		}
	})
}
