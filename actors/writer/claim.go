package writer

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// tokenAt is a token in a partition: each partition's part of a request has the
// token, and counts once by itself.
type tokenAt struct {
	partition int
	token     piccolo.Token
}

// claim says whether a once is the first under its token, and notes it where it
// is.
//
// Whether a token has expired is told by when the stream stored the two, so
// that it is the same whenever, and however often, the stream is folded.
func (s *sum) claim(m *delivered, o *piccolo.Once) bool {
	at := tokenAt{m.Partition, o.Token}
	if t, ok := s.tokens[at]; ok && m.Stored.Before(t.Expires) {
		if t.Payload != o.Payload {
			s.conflicts[m] = append(s.conflicts[m], o.Claim)
		}
		return false
	}
	s.tokens[at] = piccolo.Spent{
		Claim: o.Claim, Partition: m.Partition,
		Expires: m.Stored.Add(s.ttl).Truncate(time.Microsecond), // as the database keeps it
	}
	s.claimed = append(s.claimed, at)
	return true
}

// spent lists the tokens that were claimed, in the order of the table.
func (s *sum) spent() (list []piccolo.Spent) {
	for _, at := range s.claimed {
		list = append(list, s.tokens[at])
	}
	slices.SortFunc(list, func(a, b piccolo.Spent) int {
		return cmp.Or(bytes.Compare(a.Token[:], b.Token[:]), cmp.Compare(a.Partition, b.Partition))
	})
	return list
}
