package ingress

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
)

// Tokens are the bearer tokens of a file, with what each lets its bearer do. A
// line is roles and a token, and # starts a line that is a comment:
//
//	# the checkout service
//	increment,read  s3cr3t
//
// A token itself is not kept, but for its SHA-256.
type Tokens struct {
	path  string
	log   *slog.Logger
	known atomic.Pointer[[]token]
}

// token is a line of the file.
type token struct {
	sum   digest
	roles role
}

// digest stands for a token in memory.
type digest [sha256.Size]byte

// equal is 1 or 0, and takes as long for either.
func (d *digest) equal(other *digest) int { return subtle.ConstantTimeCompare(d[:], other[:]) }

// LoadTokens reads a file of tokens.
func LoadTokens(path string, log *slog.Logger) (*Tokens, error) {
	t := &Tokens{path: path, log: log}
	return t, t.Reload()
}

// Reload reads the file again. When it cannot be used, the tokens remain what
// they were.
func (t *Tokens) Reload() error {
	raw, err := os.ReadFile(t.path)
	if err != nil {
		return fmt.Errorf("tokens: %w: --tokens wants a file with lines like: increment,read TOKEN", err)
	}
	defer clear(raw)
	known, err := parseTokens(raw)
	if err != nil {
		return fmt.Errorf("tokens: %s: %w", t.path, err)
	}
	warnExposed(t.log, t.path)
	t.known.Store(&known)
	return nil
}

// parseTokens reads the lines of a file. Its errors name a line and show
// nothing of it.
func parseTokens(raw []byte) (known []token, err error) {
	var lines []int // of the tokens
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		fields := bytes.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d is not roles and a token, as in: increment,read TOKEN", n)
		}
		roles, err := parseRoles(fields[0])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if !sendable(fields[1]) {
			return nil, fmt.Errorf("line %d: the token is not one that a client can send: it takes letters, digits and -._~+/, with = at its end only", n)
		}
		sum := digest(sha256.Sum256(fields[1]))
		for i := range known {
			if known[i].sum.equal(&sum) == 1 {
				return nil, fmt.Errorf("line %d has the token of line %d: give it all its roles in one line", n, lines[i])
			}
		}
		known, lines = append(known, token{sum, roles}), append(lines, n)
	}
	if len(known) == 0 {
		return nil, errors.New("there is no token in it, nobody could do anything: add a line like: increment,read TOKEN")
	}
	return known, nil
}

// sendable says whether a token has the form that RFC 6750 gives it.
func sendable(token []byte) bool {
	body := bytes.TrimRight(token, "=")
	for _, c := range body {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && bytes.IndexByte([]byte("-._~+/"), c) < 0 {
			return false
		}
	}
	return len(body) > 0
}

// roles is what the bearer of a token may do: nothing, where the token is not
// known. Every token is looked at, so that how long it takes says nothing of
// which one it was, or how much of it was right.
func (t *Tokens) roles(presented []byte) (roles role) {
	sum := digest(sha256.Sum256(presented))
	known := *t.known.Load()
	for i := range known {
		roles |= known[i].roles & -role(known[i].sum.equal(&sum)) // all bits of it, or none
	}
	return roles
}
