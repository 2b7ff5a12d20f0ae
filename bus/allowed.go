package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Allowed is what the server lets this user do.
type Allowed struct {
	publish, subscribe subjects
	responses          bool // to whoever asks
}

// subjects are those that a user may use. None means any.
type subjects struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// Allowed asks the server what it lets this user do. Nothing is tried.
func (b *Bus) Allowed(ctx context.Context) (a *Allowed, err error) {
	ctx, done := b.asks(ctx, subjectUser)
	defer done(&err)
	reply, err := b.nc.RequestWithContext(ctx, subjectUser, nil)
	if err != nil {
		return nil, fmt.Errorf("what this user may do cannot be asked: %w", err)
	}
	var answer struct {
		Data struct {
			Permissions struct {
				Publish   subjects        `json:"publish"`
				Subscribe subjects        `json:"subscribe"`
				Responses json.RawMessage `json:"responses"`
			} `json:"permissions"`
		} `json:"data"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, fmt.Errorf("what this user may do cannot be read: %w", err)
	}
	p := &answer.Data.Permissions
	return &Allowed{p.Publish, p.Subscribe, len(p.Responses) > 0}, nil
}

// Lacks are the subjects that a role needs and this user may not use.
func (a *Allowed) Lacks(r Role) (lacks []*RefusedError) {
	needs := r.Permissions()
	for _, subject := range needs.Publish {
		answer := a.responses && strings.HasPrefix(subject, "_INBOX.")
		if !answer && !a.publish.allow(subject) {
			lacks = append(lacks, &RefusedError{"publish", subject})
		}
	}
	for _, subject := range needs.Subscribe {
		if !a.subscribe.allow(subject) {
			lacks = append(lacks, &RefusedError{"subscribe", subject})
		}
	}
	return lacks
}

// allow says whether all of a pattern may be used.
func (s *subjects) allow(pattern string) bool {
	for _, d := range s.Deny {
		if overlap(d, pattern) {
			return false
		}
	}
	for _, a := range s.Allow {
		if covers(a, pattern) {
			return true
		}
	}
	return len(s.Allow) == 0
}

// covers says whether every subject that matches one pattern matches the other,
// too.
func covers(wide, narrow string) bool {
	w, n := strings.Split(wide, "."), strings.Split(narrow, ".")
	for i := range n {
		switch {
		case i >= len(w):
			return false
		case w[i] == ">":
			return true
		case n[i] == ">", w[i] != "*" && w[i] != n[i]:
			return false
		}
	}
	return len(w) == len(n)
}

// overlap says whether a subject matches both patterns.
func overlap(p, q string) bool {
	a, b := strings.Split(p, "."), strings.Split(q, ".")
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == ">" || b[i] == ">":
			return true
		case a[i] != "*" && b[i] != "*" && a[i] != b[i]:
			return false
		}
	}
	return len(a) == len(b)
}
