package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// Increment is what is added to one key: any 64-bit integer.
type Increment struct {
	Key   string `json:"key"`
	Value int64  `json:"value"`
}

// Ack says what a reply to an increment waits for, and what holds once it is
// there.
type Ack string

const (
	Memory  Ack = "memory"  // counted in memory, lost in a crash within some milliseconds
	Stored  Ack = "stored"  // on disk, in the stream: survives anything
	Applied Ack = "applied" // in the database: every reader sees it
)

// Counted is the reply to increments that have been counted.
type Counted struct {
	Ack     Ack    `json:"ack"`             // what holds, which may be less than was asked for: Memory where the stream stays away
	Receipt string `json:"receipt"`         // what a read can wait for
	Value   *int64 `json:"value,omitempty"` // the key's total, of one increment that was Applied

	Counted  int  `json:"counted,omitempty"`  // of many increments, how many count
	Conflict bool `json:"conflict,omitempty"` // the others do not: see ErrConflict
}

// CountOption changes how increments are counted.
type CountOption func(*counting)

type counting struct {
	ack Ack
	key string
}

// WithAck says what to wait for. The default is the server's, which is Stored
// where nobody changed it.
func WithAck(a Ack) CountOption { return func(o *counting) { o.ack = a } }

// WithIdempotencyKey names the call, with 8 to 255 bytes: however often it is
// made under this name within a day, by whichever process, it counts once. The
// default is a random name.
func WithIdempotencyKey(key string) CountOption { return func(o *counting) { o.key = key } }

// WithoutIdempotencyKey spares the server the memory of this call. It is then
// not tried again where the reply was lost: the error leaves open whether it
// was counted.
func WithoutIdempotencyKey() CountOption { return func(o *counting) { o.key = "" } }

// Increment adds value to a key.
func (c *Client) Increment(ctx context.Context, key string, value int64, options ...CountOption) (Counted, error) {
	form := url.Values{"key": {key}, "value": {strconv.FormatInt(value, 10)}}
	return c.count(ctx, "/increment", "application/x-www-form-urlencoded", []byte(form.Encode()), options)
}

// ErrConflict : the idempotency key was used before, for other increments. Where
// it comes with a Counted, IncrementAll counted a part, and the rest never counts
// under this key; else it is a *Problem, and nothing was counted where it is not
// Unsure. With less than Applied, the server may not know of it.
var ErrConflict = errors.New("the idempotency key was used for other increments")

// IncrementAll adds values to many keys: all of them, or none, unless it returns
// ErrConflict.
func (c *Client) IncrementAll(ctx context.Context, increments []Increment, options ...CountOption) (Counted, error) {
	if len(increments) == 0 {
		return Counted{}, errors.New("there is nothing to count")
	}
	counted, err := c.count(ctx, "/v1/increments", "application/x-ndjson", appendLines(nil, increments), options)
	if err == nil && counted.Conflict {
		err = fmt.Errorf("%w: %d of %d count, the others do not, however often they are sent", ErrConflict, counted.Counted, len(increments))
	}
	return counted, err
}

func (c *Client) count(ctx context.Context, path, contentType string, body []byte, options []CountOption) (counted Counted, err error) {
	o := counting{key: newKey()}
	for _, option := range options {
		option(&o)
	}
	r := &call{method: http.MethodPost, path: path, contentType: contentType, body: body, header: http.Header{}, again: o.key != ""}
	if o.ack != "" {
		r.header.Set("Piccolo-Ack", string(o.ack))
	}
	if o.key != "" {
		r.header.Set("Idempotency-Key", o.key)
	}
	// What is in memory for want of time would be lost in a crash. Under a key
	// it can be sent again, until it is as safe as was asked for.
	err = c.retrying(ctx, r.again, func() error {
		counted = Counted{} // each try speaks for itself
		err := c.once(ctx, r, &counted)
		if err == nil && r.again && counted.Ack == Memory && (o.ack == Stored || o.ack == Applied) {
			err = ErrInMemory
		}
		return err
	})
	if errors.Is(err, ErrInMemory) {
		err = nil // it is counted, and says how
	}
	return counted, err
}

// ErrInMemory : what should be stored is counted in memory, and was not stored
// in time. It is lost if the server dies first.
var ErrInMemory = errors.New("counted in memory, and not stored in time")

// appendLines appends increments as NDJSON.
func appendLines(dst []byte, increments []Increment) []byte {
	for i := range increments {
		dst = append(dst, `{"key":`...)
		dst = appendString(dst, increments[i].Key)
		dst = append(dst, `,"value":`...)
		dst = strconv.AppendInt(dst, increments[i].Value, 10)
		dst = append(dst, "}\n"...)
	}
	return dst
}

// appendString appends a JSON string. Bytes that are no UTF-8 stay as they are,
// for the server to refuse: another key must not be counted in its place.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// Set makes value the total of a key. Increments that are stored before it are
// overwritten, those stored after it count on top.
func (c *Client) Set(ctx context.Context, key string, value int64, options ...CountOption) (Counted, error) {
	return c.put(ctx, http.MethodPut, key, []byte("value="+strconv.FormatInt(value, 10)), options)
}

// Clear removes a key, as if it had never been counted.
func (c *Client) Clear(ctx context.Context, key string, options ...CountOption) (Counted, error) {
	return c.put(ctx, http.MethodDelete, key, nil, options)
}

func (c *Client) put(ctx context.Context, method, key string, body []byte, options []CountOption) (counted Counted, err error) {
	var o counting
	for _, option := range options {
		option(&o)
	}
	// Sent twice it does the same; what others counted in between is lost with
	// what they counted before.
	r := &call{method: method, path: keyPath(key), body: body, header: http.Header{}, again: true}
	if body != nil {
		r.contentType = "application/x-www-form-urlencoded"
	}
	if o.ack != "" {
		r.header.Set("Piccolo-Ack", string(o.ack))
	}
	return counted, c.do(ctx, r, &counted)
}
