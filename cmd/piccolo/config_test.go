package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"pgregory.net/rapid"
)

// Whatever a configuration file holds, it is read or refused with a reason, and
// what no flag could be given on the command line is refused.
func TestConfigurationFileIsReadOrRefused(t *testing.T) {
	const where = "configuration file: "
	key := rapid.SampledFrom([]string{"listen", "max-keys", "flush-interval", "listn", "config", "1", "[a]", "<<", "&a listen", "''"})
	value := rapid.SampledFrom([]string{":3333", "20ms", "7", "007", "1e7", "true", "", "~", "''", "[a, b]", "[a, [b]]", "[~]", "[{a: b}]",
		"{a: b}", "{1: 2}", "{}", "[]", "*a", "!!binary x", "2026-01-01", ".nan", "|\n  a", "\"", "{", "\t", "\x00", "\xff", "--- a"})
	parser, err := kong.New(new(cli), kong.Vars{"admin": "127.0.0.1:3334"})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			text.WriteString(key.Draw(t, "key") + rapid.SampledFrom([]string{": ", ":", " "}).Draw(t, "colon") + value.Draw(t, "value") + "\n")
		}
		file := text.String()
		if rapid.Bool().Draw(t, "any text") {
			file = rapid.String().Draw(t, "file")
		}
		c, err := loadYAML(strings.NewReader(file))
		if err != nil {
			if !strings.HasPrefix(err.Error(), where) {
				t.Fatalf("%q: %v", file, err)
			}
			return
		}
		if err := c.Validate(parser.Model); err != nil {
			if !strings.HasPrefix(err.Error(), where) {
				t.Fatalf("%q: %v", file, err)
			}
			return
		}
		for name := range c.(config) {
			value, err := c.Resolve(nil, nil, &kong.Flag{Value: &kong.Value{Name: name}})
			if s, ok := value.(string); err != nil || !ok || strings.Contains(s, "map[") || strings.Contains(s, "<nil>") {
				t.Fatalf("%q: %s is %q, %v", file, name, value, err)
			}
		}
	})
}
