package ingress_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/piccolo-counter/piccolo/actors/ingress"
)

func gzipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t *testing.T, body string, options ...zstd.EOption) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, options...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func compressed(encoding, contentType, body string) request {
	r := many(contentType, body)
	r.header = http.Header{"Content-Encoding": {encoding}}
	return r
}

func TestManyIncrementsCompressed(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.MaxBody = 1 << 20 })
	var body strings.Builder
	want := make(map[string]int64)
	for i := range 5000 {
		key := fmt.Sprintf("key-%d", i%300)
		fmt.Fprintf(&body, "{\"key\":%q,\"value\":%d}\n", key, i)
		want[key] += int64(i)
	}
	half := body.Len() / 2
	for _, c := range []struct {
		name string
		send request
	}{
		{"gzip", compressed("gzip", ndjson, gzipped(t, body.String()))},
		{"x-gzip", compressed("X-GZIP", ndjson, gzipped(t, body.String()))},
		{"gzip in two members", compressed("gzip", ndjson, gzipped(t, body.String()[:half])+gzipped(t, body.String()[half:]))},
		{"zstd", compressed("zstd", ndjson, zstandard(t, body.String()))},
		{"zstd in two frames", compressed("zstd", ndjson, zstandard(t, body.String()[:half])+zstandard(t, body.String()[half:]))},
		{"zstd with the largest window", compressed("zstd", ndjson, zstandard(t, body.String(), zstd.WithWindowSize(8<<20)))},
		{"identity", compressed("identity", ndjson, body.String())},
		{"not", many(ndjson, body.String())},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", c.name, chunked), func(t *testing.T) {
				d := d.of(t)
				c.send.chunked, c.send.header = chunked, c.send.header.Clone()
				if got := d.ackedMany(d.send(c.send), 200, "stored", 5000); !maps.Equal(got, want) {
					t.Error("the sums are not those of the body")
				}
			})
		}
	}
}

func TestCompressedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.MaxBody = 1 << 20 })
	const line = `{"key":"foo","value":10}` + "\n"
	bomb := strings.Repeat(line, 4<<20/len(line)) // 4 MiB, of which 1 MiB may come
	flipped := []byte(gzipped(t, line+line))
	flipped[len(flipped)-6] ^= 1 // the checksum
	for _, c := range []struct {
		name   string
		send   request
		status int
		detail string
	}{
		{"gzip bomb", compressed("gzip", ndjson, gzipped(t, bomb)), 413, "larger than 1048576 bytes"},
		{"zstd bomb", compressed("zstd", ndjson, zstandard(t, bomb)), 413, "larger than 1048576 bytes"},
		{"gzip in gzip", compressed("gzip", ndjson, gzipped(t, gzipped(t, line))), 400, "increment 0"},
		{"gzip cut short", compressed("gzip", ndjson, gzipped(t, line)[:30]), 400, "cut short"},
		{"gzip without its checksum", compressed("gzip", ndjson, gzipped(t, line)[:len(gzipped(t, line))-8]), 400, "cut short"},
		{"gzip with another checksum", compressed("gzip", ndjson, string(flipped)), 400, "checksum"},
		{"gzip and something behind", compressed("gzip", ndjson, gzipped(t, line)+"x"), 400, "malformed"},
		{"gzip of nothing", compressed("gzip", ndjson, gzipped(t, "")), 400, "no increments"},
		{"nothing said to be gzip", compressed("gzip", ndjson, ""), 400, "cut short"},
		{"lines said to be gzip", compressed("gzip", ndjson, line), 400, "malformed"},
		{"zstd cut short", compressed("zstd", ndjson, zstandard(t, line)[:20]), 400, "cut short"},
		{"zstd and something behind", compressed("zstd", ndjson, zstandard(t, line)+"x"), 400, "malformed"},
		{"zstd with a window that is too large", compressed("zstd", ndjson, zstandard(t, bomb, zstd.WithWindowSize(16<<20))), 400, "window"},
		{"nothing said to be zstd", compressed("zstd", ndjson, ""), 400, "no increments"},
		{"lines said to be zstd", compressed("zstd", ndjson, line), 400, "malformed"},
		{"br", compressed("br", ndjson, line), 415, `Content-Encoding "br" is not taken`},
		{"two encodings", compressed("gzip, zstd", ndjson, line), 415, `Content-Encoding "gzip, zstd" is not taken`},
		{"one increment", request{contentType: form, body: gzipped(t, "key=foo&value=10"), header: http.Header{"Content-Encoding": {"gzip"}}}, 415, "POST /v1/increments"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d.of(t)
			r := d.send(c.send)
			p := d.refused(r, c.status)
			if !strings.Contains(p.Detail, c.detail) {
				t.Errorf("detail %q, want %q", p.Detail, c.detail)
			}
			if got := r.header.Get("Accept-Encoding"); (got != "") != (c.status == 415) {
				t.Errorf("Accept-Encoding %q", got)
			}
		})
	}
}
