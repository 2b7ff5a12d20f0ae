package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/alecthomas/units"
)

// byteSize is a number of bytes. It is written as digits alone, or with a unit as in
// 16MiB.
type byteSize int64

// UnmarshalText reads a size.
func (s *byteSize) UnmarshalText(text []byte) error {
	if bytes, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		*s = byteSize(bytes)
		return nil
	}
	bytes, err := units.ParseBase2Bytes(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%.60q is no number of bytes, as in 1048576 or 16MiB", text)
	}
	*s = byteSize(bytes)
	return nil
}

func (s byteSize) String() string { return units.Base2Bytes(s).String() }
