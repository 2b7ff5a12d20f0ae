package ingress

import (
	"bytes"
	"testing"
)

// A file that is taken has a token in each line that means something, and each
// opens what its line says and nothing else.
func FuzzTokens(f *testing.F) {
	for _, seed := range []string{
		"increment,read s3cr3t\n", "# nobody\n\nadmin a==\nread b", "read a\nread a", "root a", "read", "read a b", "read a=b", "increment, a", "\x00 a",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		known, err := parseTokens(raw)
		if err != nil {
			if len(known) != 0 {
				t.Errorf("%q: %d tokens of a file that is refused", raw, len(known))
			}
			return
		}
		tokens := &Tokens{}
		tokens.known.Store(&known)
		n := 0
		for line := range bytes.Lines(raw) {
			fields := bytes.Fields(line)
			if len(fields) == 0 || fields[0][0] == '#' {
				continue
			}
			n++
			want, err := parseRoles(fields[0])
			if got := tokens.roles(fields[1]); err != nil || got != want {
				t.Errorf("%q: roles %b, error %v; want %b", line, got, err, want)
			}
			if got := tokens.roles(append(fields[1], 'x')); got != 0 && !bytes.Contains(raw, append(fields[1], 'x')) {
				t.Errorf("%q with an x behind the token: roles %b", line, got)
			}
		}
		if n != len(known) {
			t.Errorf("%q: %d tokens in %d lines", raw, len(known), n)
		}
	})
}
