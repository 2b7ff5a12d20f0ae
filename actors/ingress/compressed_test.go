package ingress

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/piccolo-counter/piccolo"
)

// readCompressed is read for a body that was compressed with encoding.
func readCompressed(in *Ingress, encoding string, body []byte) (all []piccolo.Increment, p *problem) {
	t := in.openIntake()
	defer t.close()
	if p := t.readEncoded(bytes.NewReader(body), []byte(encoding), []byte("application/x-ndjson"), in.MaxBody); p != nil {
		return nil, p
	}
	return t.increments(), nil
}

// decompress undoes an encoding, by another way than the ingress does.
func decompress(encoding string, body []byte) ([]byte, error) {
	if encoding == "gzip" {
		z, err := stdgzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1<<24))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(body, nil)
}

func compress(t *testing.T, encoding string, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var z io.WriteCloser = stdgzip.NewWriter(&out)
	if encoding == "zstd" {
		var err error
		if z, err = zstd.NewWriter(&out); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// No bytes make a decoder panic, take more than it may or keep what it took. What
// is taken is what the bytes are when decompressed; and a body counts compressed
// as it does in the clear, where that is not too large.
func FuzzCompressedIsWhatItIsInTheClear(f *testing.F) {
	encodings := []string{"gzip", "zstd"}
	const lines = `{"key":"foo","value":10}` + "\n" + `{"key":"bar","value":-7}`
	for i := range encodings {
		for _, s := range []string{"", "hello", lines, "\x1f\x8b\x08", "\x28\xb5\x2f\xfd"} {
			f.Add(i, []byte(s))
		}
	}
	gzipped := new(bytes.Buffer)
	z := stdgzip.NewWriter(gzipped)
	_, _ = z.Write([]byte(lines))
	_ = z.Close()
	f.Add(0, gzipped.Bytes())
	f.Add(0, append(bytes.Clone(gzipped.Bytes()), gzipped.Bytes()...)) // a member behind the first
	in := still(f, 2, 10, 1000)
	f.Fuzz(func(t *testing.T, i int, body []byte) {
		encoding := encodings[uint(i)%uint(len(encodings))]
		if got, p := readCompressed(in, encoding, body); p == nil {
			clear, err := decompress(encoding, body)
			if err != nil || len(clear) > in.MaxBody {
				t.Fatalf("%q is taken, and is %d bytes when decompressed, %v", body, len(clear), err)
			}
			if want, p := read(in, "application/x-ndjson", bytes.NewReader(clear)); p != nil || !slices.Equal(got, want) {
				t.Fatalf("%q is taken for %v, in the clear it is %v, %v", body, got, want, p)
			}
		}
		got, p := readCompressed(in, encoding, compress(t, encoding, body))
		want, q := read(in, "application/x-ndjson", bytes.NewReader(body))
		switch {
		case len(body) > in.MaxBody:
			if p == nil {
				t.Errorf("%d bytes are taken, the limit is %d", len(body), in.MaxBody)
			}
		case (p == nil) != (q == nil) || p != nil && p.Detail != q.Detail || !slices.Equal(got, want):
			t.Errorf("%q compressed is %v, %v; in the clear it is %v, %v", body, got, p, want, q)
		}
		if used := in.memory.used.Load(); used != 0 {
			t.Errorf("%d bytes are taken when nothing is read", used)
		}
	})
}
