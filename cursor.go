package piccolo

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Cursors say up to where a watcher has seen the changes of each writer: by the
// name of the writer's log of changes, the number of the last one seen.
type Cursors map[string]uint64

// maxCursors bounds how many writers a watcher can resume with.
const maxCursors = MaxPartitions

// ParseCursors reads what String wrote.
func ParseCursors(s string) (Cursors, error) {
	c := make(Cursors)
	if s == "" {
		return c, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		name, number, _ := strings.Cut(part, ".")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil || CheckProducer(name) != nil {
			return nil, fmt.Errorf("cursor: %q is not of the form log.number", part)
		}
		if _, twice := c[name]; twice || len(c) == maxCursors {
			return nil, errors.New("cursor: a log is named twice, or there are too many")
		}
		c[name] = n
	}
	return c, nil
}

// String is the cursors as they travel: log.number, joined by commas.
func (c Cursors) String() string {
	var b []byte
	for i, name := range slices.Sorted(maps.Keys(c)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, name...)
		b = append(b, '.')
		b = strconv.AppendUint(b, c[name], 10)
	}
	return string(b)
}
