package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/piccolo-counter/piccolo/client"
)

const (
	// chunkLines is how many lines are counted at once, and chunkBytes how many
	// bytes of them, so that they fit into a message of any NATS server. A chunk
	// is named by where it stands: with another size, an input that is resumed
	// would be cut, and counted, anew.
	chunkLines = 10_000
	chunkBytes = 512 << 10
	maxLine    = 64 << 10
)

// input reads increments, one a line, beside whoever takes them: to wait for
// somebody who types must not keep an interruption from being seen.
type input struct {
	lines  <-chan line
	delay  time.Duration // the longest that a line waits for others; 0 for until the chunk is full
	failed error         // of a line that the last chunk ended before
}

// line is what a line says.
type line struct {
	increment client.Increment
	blank     bool
	bytes     int64 // with its end
	err       error // it cannot be read, and none follows
}

// chunk is what is counted as a whole.
type chunk struct {
	increments []client.Increment
	bytes      int64
	last       bool
}

// newInput reads until the context ends; then a read that is under way goes on,
// and what comes of it is dropped.
func newInput(ctx context.Context, in io.Reader, delay time.Duration) *input {
	lines := make(chan line, 128)
	go func() {
		defer close(lines)
		put := func(l line) bool {
			select {
			case lines <- l:
				return l.err == nil
			case <-ctx.Done():
				return false
			}
		}
		scanner := bufio.NewScanner(in)
		scanner.Buffer(make([]byte, 64<<10), maxLine)
		n := 1
		for ; scanner.Scan(); n++ {
			if !put(readLine(n, scanner.Bytes())) {
				return
			}
		}
		if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
			put(line{err: fmt.Errorf("line %d is longer than %s", n, bytesText(int64(maxLine)))})
		} else if err != nil {
			put(line{err: err})
		}
	}()
	return &input{lines: lines, delay: delay}
}

func readLine(n int, text []byte) (l line) {
	l.bytes = int64(len(text)) + 1
	if text = bytes.TrimSpace(text); len(text) == 0 {
		l.blank = true
		return l
	}
	if l.increment, l.err = parseLine(text); l.err != nil {
		l.err = fmt.Errorf("line %d: %w", n, l.err)
	}
	return l
}

// chunk gathers the next increments. Where no line is to wait, the end of the
// context is that of the input: what was read until then is the last chunk. What
// was read before a line that cannot be is a chunk, too, and the error comes with
// the next: there is no other way to tell what was counted.
func (in *input) chunk(ctx context.Context) (c chunk, err error) {
	if in.failed != nil {
		return chunk{}, in.failed
	}
	var late <-chan time.Time
	for len(c.increments) < chunkLines && c.bytes < chunkBytes {
		select {
		case l, more := <-in.lines:
			if !more {
				c.last = true
				return c, nil
			}
			if l.err != nil && in.delay > 0 && len(c.increments) > 0 {
				in.failed = l.err
				return c, nil
			}
			if l.err != nil {
				return chunk{}, l.err
			}
			if c.bytes += l.bytes; l.blank {
				continue
			}
			if c.increments = append(c.increments, l.increment); late == nil && in.delay > 0 {
				late = time.After(in.delay)
			}
		case <-late:
			return c, nil
		case <-ctx.Done():
			if in.delay > 0 {
				c.last = true
				return c, nil
			}
			return chunk{}, ctx.Err()
		}
	}
	return c, nil
}

// parseLine reads {"key":…,"value":…}, or a key and a value behind the last
// blank or tab, or a key alone, for 1.
func parseLine(line []byte) (i client.Increment, err error) {
	if line[0] == '{' {
		return parseObject(line)
	}
	at := bytes.LastIndexAny(line, " \t")
	if at < 0 {
		return client.Increment{Key: string(line), Value: 1}, nil
	}
	i.Key = string(bytes.TrimRight(line[:at], " \t"))
	if i.Value, err = strconv.ParseInt(string(line[at+1:]), 10, 64); err != nil {
		return i, fmt.Errorf("%.60q is no integer of 64 bits: a line is KEY VALUE, or KEY alone for 1, or {\"key\":…,\"value\":…}", line[at+1:])
	}
	return i, nil
}

func parseObject(line []byte) (i client.Increment, err error) {
	var pair struct {
		Key   *string `json:"key"`
		Value *int64  `json:"value"`
	}
	if !utf8.Valid(line) { // the decoder would make another key of it
		return i, fmt.Errorf("%.60q is not valid UTF-8", line)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&pair); err != nil {
		return i, fmt.Errorf("%.60q: %w", line, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return i, fmt.Errorf("%.60q: something follows the object", line)
	}
	if pair.Key == nil || pair.Value == nil {
		return i, fmt.Errorf("%.60q: want key and value", line)
	}
	return client.Increment{Key: *pair.Key, Value: *pair.Value}, nil
}
