package ingress

import (
	"bytes"
	"io"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"
)

// bounded ends with an error where its source has more than is left. It bounds
// what becomes of a compressed body, which says nothing of how large that is.
type bounded struct {
	src  io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// contentEncoding is what a request's body was compressed with, empty for
// nothing.
func contentEncoding(ctx *fasthttp.RequestCtx) []byte {
	if !has(ctx, fasthttp.HeaderContentEncoding) {
		return nil
	}
	switch all := ctx.Request.Header.PeekAll(fasthttp.HeaderContentEncoding); len(all) {
	case 1:
		if bytes.EqualFold(all[0], []byte("identity")) {
			return nil
		}
		return all[0]
	default:
		return bytes.Join(all, []byte(", "))
	}
}

// readEncoded reads a body of a media type that was compressed with encoding.
func (t *intake) readEncoded(src io.Reader, encoding, media []byte, limit int) *problem {
	is := func(name string) bool { return bytes.EqualFold(encoding, []byte(name)) }
	switch {
	case len(encoding) == 0:
		return t.read(src, media)
	case is("gzip"), is("x-gzip"):
		return t.readGzip(src, media, limit)
	case is("zstd"):
		return t.readZstd(src, media, limit)
	}
	p := newProblem(415, "Content-Encoding %s is not taken: use gzip, zstd or none", quote(encoding))
	p.acceptEncoding = "gzip, zstd"
	return p
}

func (t *intake) readGzip(src io.Reader, media []byte, limit int) *problem {
	z, _ := t.ingress.gzips.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	defer t.ingress.gzips.Put(z)
	if err := z.Reset(src); err != nil {
		return t.ingress.unread(cut(err), limit)
	}
	return t.read(&bounded{z, limit}, media)
}

// cut is what is wrong with a stream that ends before it begins.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// maxZstdWindow bounds what a decoder keeps of the past. More than 8 MiB takes
// options that are not for exchange (RFC 8878).
const maxZstdWindow = 8 << 20

// readZstd has all of the body come in first. A decoder takes megabytes for its
// window, so that there are only as many as can be at work at a time, and none
// is kept waiting by a client that is slow.
func (t *intake) readZstd(src io.Reader, media []byte, limit int) *problem {
	for {
		if len(t.raw) == cap(t.raw) {
			t.raw = append(t.raw, 0)[:len(t.raw)]
			if p := t.charge(); p != nil {
				return p
			}
		}
		n, err := src.Read(t.raw[len(t.raw):cap(t.raw)])
		t.raw = t.raw[:len(t.raw)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return t.ingress.unread(err, limit)
		}
	}
	z := <-t.ingress.zstds
	if z == nil {
		var err error
		if z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow)); err != nil {
			panic(err) // the options are good
		}
	}
	defer func() {
		_ = z.Reset(nil) // lets go of the body
		t.ingress.zstds <- z
	}()
	if err := z.Reset(bytes.NewReader(t.raw)); err != nil {
		return t.ingress.unread(cut(err), limit)
	}
	return t.read(&bounded{z, limit}, media)
}

// newZstds makes room for a decoder for each processor. They are made when they
// are needed.
func newZstds() chan *zstd.Decoder {
	n := runtime.GOMAXPROCS(0)
	c := make(chan *zstd.Decoder, n)
	for range n {
		c <- nil
	}
	return c
}
