package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A configuration file is refused with a reason, or shown as what it came to;
// and what is shown is a file that comes to the same.
func FuzzConfigShowsWhatItReads(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "flush-interval: 20ms\n", "listen: 127.0.0.1:1\nack: applied\n", "max-keys: 1e6", "nats: [nats://a:1, nats://b:2]",
		"partition: [0, 1]", "token-ttl: 24h\nretain: 0s", "data: 'a b'", "log-level: [debug]", "flush-interval: -1s", "listen: null",
		"data: $CREDENTIALS_DIRECTORY/x", "a: &a [*a]", "---\n---\n", "config: x", "data: \"\\0\"", "stream-max-bytes: 1GiB",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "piccolo.yaml")
		show := func(text string) (code int, stdout, stderr string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return piccoloRun(t, "config", "show", "--config", path)
		}
		code, shown, stderr := show(text)
		if code != 0 {
			if code != exitUsage || !strings.HasPrefix(stderr, "piccolo: ") {
				t.Errorf("exit %d, %s", code, stderr)
			}
			return
		}
		if code, again, stderr := show(shown); code != 0 || again != shown {
			t.Errorf("%s\nis shown as\n%s\nand that with exit %d, %s as\n%s", text, shown, code, stderr, again)
		}
	})
}
