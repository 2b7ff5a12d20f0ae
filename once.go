package piccolo

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// Once is what one request with an Idempotency-Key adds in one partition. It
// travels unreduced, and counts if its token has not been counted before.
type Once struct {
	Claim
	Increments uint64 // how many the deltas stand for
	Deltas     []Delta
}

// Claim is a token and what it is to stand for. The first claim of a token to
// be folded is what it stands for from then on.
type Claim struct {
	Token   Token
	Payload uint64 // a digest of the request's increments, of all partitions
}

// MinTokenTTL is the least time for which the writer knows a token: an ingress
// answers repeats of what it has counted by itself for as long, and cannot know
// that the writer has forgotten.
const MinTokenTTL = time.Minute

// Token stands for an Idempotency-Key: the first 16 bytes of its SHA-256.
type Token [16]byte

// NewToken returns the token of an Idempotency-Key.
func NewToken[T string | []byte](key T) Token {
	sum := sha256.Sum256([]byte(key))
	return Token(sum[:16])
}

// Bounds of an Idempotency-Key, in bytes.
const (
	minIdempotencyKey = 8
	maxIdempotencyKey = 255
)

// CheckIdempotencyKey says whether a key is of a length that is told from
// others and can be kept.
func CheckIdempotencyKey[T string | []byte](key T) error {
	if n := len(key); n < minIdempotencyKey || n > maxIdempotencyKey {
		return fmt.Errorf("is %d bytes long, want %d to %d", n, minIdempotencyKey, maxIdempotencyKey)
	}
	return nil
}

// Payload digests the increments of a request, in whichever order. It tells a
// retry from another request under the same key, which is a mistake and no
// attack: a client has nothing to gain from two requests that look alike. The
// zero Payload is that of nothing.
type Payload struct {
	sum uint64
	buf []byte
}

// Add adds an increment.
func (p *Payload) Add(key string, value int64) {
	p.buf = protowire.AppendString(p.buf[:0], key)
	p.buf = protowire.AppendVarint(p.buf, protowire.EncodeZigZag(value))
	p.sum += xxhash.Sum64(p.buf)
}

// Sum returns the digest of what has been added.
func (p *Payload) Sum() uint64 { return p.sum }

const (
	fieldToken          = 1
	fieldPayload        = 2
	fieldOnceIncrements = 3
	fieldOnceDelta      = 4
)

// claimSize is what a claim takes on the wire, in bytes.
const claimSize = 1 + 1 + 16 + 1 + 8

// MaxOnceSize bounds what a once takes on the wire, in bytes.
func MaxOnceSize(deltas []Delta) int {
	n := 48
	for i := range deltas {
		n += MaxDeltaSize(len(deltas[i].Key))
	}
	return n
}

func (c *Claim) append(dst []byte) []byte {
	dst = append(dst, fieldToken<<3|bytes, byte(len(c.Token)))
	dst = append(dst, c.Token[:]...)
	dst = append(dst, fieldPayload<<3|fixed64)
	return binary.LittleEndian.AppendUint64(dst, c.Payload)
}

func (o *Once) size() int {
	n := claimSize + 1 + protowire.SizeVarint(o.Increments)
	for i := range o.Deltas {
		n += 1 + protowire.SizeBytes(o.Deltas[i].size())
	}
	return n
}

func (o *Once) append(dst []byte) []byte {
	dst = o.Claim.append(dst)
	dst = append(dst, fieldOnceIncrements<<3|varint)
	dst = protowire.AppendVarint(dst, o.Increments)
	for i := range o.Deltas {
		d := &o.Deltas[i]
		dst = append(dst, fieldOnceDelta<<3|bytes)
		dst = protowire.AppendVarint(dst, uint64(d.size()))
		dst = d.append(dst)
	}
	return dst
}

// What sets may be sent again as it is, and needs no token.
var errOnceSets = errors.New("a once only adds")

// decodeOnce reads a once. Its keys alias data.
func decodeOnce(data []byte) (o Once, err error) {
	named := false
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return o, protowire.ParseError(n)
		}
		data = data[n:]
		n = protowire.ConsumeFieldValue(num, typ, data)
		if n < 0 {
			return o, errTruncated
		}
		value := data[:n]
		data = data[n:]
		switch {
		case num == fieldToken && typ == protowire.BytesType:
			raw, _ := protowire.ConsumeBytes(value)
			if len(raw) != len(o.Token) {
				return o, fmt.Errorf("a token of %d bytes, want %d", len(raw), len(o.Token))
			}
			o.Token, named = Token(raw), true
		case num == fieldPayload && typ == protowire.Fixed64Type:
			o.Payload, _ = protowire.ConsumeFixed64(value)
		case num == fieldOnceIncrements && typ == protowire.VarintType:
			o.Increments, _ = protowire.ConsumeVarint(value)
		case num == fieldOnceDelta && typ == protowire.BytesType:
			raw, _ := protowire.ConsumeBytes(value)
			d, err := decodeDelta(raw)
			switch {
			case err != nil:
				return o, fmt.Errorf("delta %d: %w", len(o.Deltas), err)
			case d.Op != OpAdd:
				return o, fmt.Errorf("delta %d: %w", len(o.Deltas), errOnceSets)
			}
			o.Deltas = append(o.Deltas, d)
		}
	}
	if !named {
		return o, errors.New("it has no token")
	}
	return o, nil
}
