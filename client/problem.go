package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Problem is a reply that is not 2xx. Where it is not Unsure it is a refusal: the
// server did nothing, and says why (RFC 9457).
type Problem struct {
	Status     int           `json:"status"`
	Title      string        `json:"title"`
	Detail     string        `json:"detail"`
	Field      string        `json:"field"` // at fault, where one is
	Index      *int          `json:"index"` // of the increment at fault among many, from 0; nil where none is
	RetryAfter time.Duration `json:"-"`     // 0 where the server does not say

	// Unsure says that this or an earlier try of the same call had no reply, one
	// that promised less than was asked for, or one of a proxy that does not know
	// what the server made of it: that one may count. Of a read it says nothing.
	Unsure bool `json:"-"`

	own bool // it is the service's own, not a proxy's
}

func (p *Problem) Error() string {
	if p.Detail != "" {
		return fmt.Sprintf("%d: %s", p.Status, p.Detail)
	}
	return fmt.Sprintf("%d %s", p.Status, http.StatusText(p.Status))
}

// Is has errors.Is find ErrNotFound and ErrConflict.
func (p *Problem) Is(target error) bool {
	return p.own && (target == ErrNotFound && p.Status == http.StatusNotFound ||
		target == ErrConflict && p.Status == http.StatusUnprocessableEntity)
}

// ErrNotFound : the key was never counted, or was removed.
var ErrNotFound = errors.New("the key was never counted, or was removed")

func readProblem(res *http.Response) *Problem {
	p := new(Problem)
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // half of it serves, too
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	p.own = media == "application/problem+json" && json.Unmarshal(body, p) == nil
	p.Status = res.StatusCode
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
