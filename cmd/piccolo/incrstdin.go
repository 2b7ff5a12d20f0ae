package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

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

// stream counts the lines of in, chunk by chunk, each under a name made of the
// resume id and where it stands.
func (c *incrCmd) stream(ctx context.Context, api *client.Client, in *os.File, log *slog.Logger, out output) error {
	id := c.ResumeID
	if id == "" {
		var b [8]byte
		_, _ = rand.Read(b[:]) // it never fails
		id = hex.EncodeToString(b[:])
	}
	p := newProgress(in, out.stderr)
	defer p.end()
	lines := newInput(in)
	total := 0
	for chunk := 0; ; chunk++ {
		increments, read, err := lines.chunk()
		p.read += read
		if err == nil && len(increments) > 0 {
			_, err = api.IncrementAll(ctx, increments,
				client.WithAck(client.Ack(c.Ack)), client.WithIdempotencyKey(fmt.Sprintf("%s.chunk-%d", id, chunk)))
		}
		if err != nil {
			p.end()
			return fmt.Errorf("stopped after %s lines were counted: %w: to go on, give the same input with --resume-id %s", grouped(total), c.explain(err), id)
		}
		total += len(increments)
		p.show(total)
		if read == 0 {
			break
		}
	}
	p.end()
	if c.JSON {
		return printLine(out.stdout, struct {
			Counted  int    `json:"counted"`
			ResumeID string `json:"resume_id"`
		}{total, id})
	}
	log.Debug("counted", "lines", total, "resumeID", id)
	_, err := fmt.Fprintf(out.stderr, "%s increments counted\n", grouped(total))
	return err
}

// input reads increments, one a line.
type input struct {
	scanner *bufio.Scanner
	read    int // lines, blank ones too
}

func newInput(in io.Reader) *input {
	l := &input{scanner: bufio.NewScanner(in)}
	l.scanner.Buffer(make([]byte, 64<<10), maxLine)
	return l
}

// chunk reads the next increments, and how many bytes that took. Blank lines
// are none.
func (l *input) chunk() (increments []client.Increment, read int64, err error) {
	for len(increments) < chunkLines && read < chunkBytes && l.scanner.Scan() {
		l.read++
		line := l.scanner.Bytes()
		read += int64(len(line)) + 1
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		i, err := parseLine(line)
		if err != nil {
			return nil, read, fmt.Errorf("line %d: %w", l.read, err)
		}
		increments = append(increments, i)
	}
	if err := l.scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, read, fmt.Errorf("line %d is longer than %s", l.read+1, bytesText(int64(maxLine)))
	} else if err != nil {
		return nil, read, err
	}
	return increments, read, nil
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

// progress is a line on a terminal that says how far it is.
type progress struct {
	w      *os.File // nil where nobody would see it
	size   int64    // of the input, 0 where that is unknown
	read   int64
	start  time.Time
	shown  time.Time
	onLine bool
}

func newProgress(in *os.File, w io.Writer) *progress {
	p := &progress{start: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = f
	}
	if info, err := in.Stat(); err == nil && info.Mode().IsRegular() {
		p.size = info.Size()
	}
	return p
}

// show draws it, a few times a second.
func (p *progress) show(counted int) {
	if p.w == nil || time.Since(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown, p.onLine = time.Now(), true
	columns, _, err := term.GetSize(int(p.w.Fd()))
	if err != nil || columns <= 0 {
		columns = 80
	}
	_, _ = fmt.Fprint(p.w, "\r\033[K"+p.text(counted, time.Since(p.start), columns))
}

// text is the line, short enough to stay one: what has been wrapped could not
// be taken away.
func (p *progress) text(counted int, took time.Duration, columns int) string {
	text := fmt.Sprintf("%s counted, %s/s", grouped(counted), grouped(int(float64(counted)/max(took, time.Millisecond).Seconds())))
	if p.size > 0 {
		done := min(float64(p.read)/float64(p.size), 1)
		text = fmt.Sprintf("%3.0f %%  %s", math.Floor(100*done), text)
		if width := min(columns-len(text)-4, 30); width >= 5 {
			full := int(done * float64(width))
			text = fmt.Sprintf("[%s%s] %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), text)
		}
	}
	return text[:min(len(text), max(columns-1, 0))]
}

// end takes it away.
func (p *progress) end() {
	if p.onLine {
		_, _ = fmt.Fprint(p.w, "\r\033[K")
		p.onLine = false
	}
}
