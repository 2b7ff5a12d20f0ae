package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/piccolo-counter/piccolo/client"
)

const (
	followDelay = time.Second
	// afterEnd is how long an interruption may come behind the end of a pipe:
	// who interrupts a pipeline ends all of it, and what is read then is cut off.
	afterEnd = 200 * time.Millisecond
)

// stream counts the lines of in, chunk by chunk, each under a name made of the
// resume id and where it stands.
func (c *incrCmd) stream(ctx context.Context, api *client.Client, in *os.File, log *slog.Logger, out output) error {
	id, delay, sending := c.ResumeID, time.Duration(0), ctx
	switch {
	case c.Follow: // there are no such places, and what has been read is counted all the same
		delay, sending = followDelay, context.WithoutCancel(ctx)
	case id == "":
		var b [8]byte
		_, _ = rand.Read(b[:]) // it never fails
		id = hex.EncodeToString(b[:])
		if _, err := fmt.Fprintf(out.stderr, "after an interruption, the same input goes on with --resume-id %s\n", id); err != nil {
			return err
		}
	}
	p := newProgress(in, out.stderr)
	defer p.end()
	lines := newInput(ctx, in, delay)
	total := 0
	for n, last := 0, false; !last; n++ {
		chunk, err := lines.chunk(ctx)
		sent := err == nil && len(chunk.increments) > 0
		if last = chunk.last; err == nil && last && !c.Follow && p.size == 0 {
			err = notInterrupted(ctx)
		}
		if err == nil && len(chunk.increments) > 0 {
			err = c.countChunk(sending, api, id, n, chunk.increments)
		}
		if err != nil {
			p.end()
			return c.stopped(err, total, id, sent)
		}
		total += len(chunk.increments)
		p.read += chunk.bytes
		p.show(total)
	}
	p.end()
	if c.JSON {
		return printLine(out.stdout, struct {
			Counted  int    `json:"counted"`
			ResumeID string `json:"resume_id,omitempty"`
		}{total, id})
	}
	log.Debug("counted", "lines", total, "resumeID", id)
	_, err := fmt.Fprintf(out.stderr, "%s increments counted\n", grouped(total))
	return err
}

// notInterrupted waits for an interruption that may be on its way.
func notInterrupted(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(afterEnd):
		return nil
	}
}

// countChunk counts the nth chunk. One that is in memory only, although more was
// asked for, is not done with: it would be lost with the service, and the next
// would hide that.
func (c *incrCmd) countChunk(ctx context.Context, api *client.Client, id string, n int, increments []client.Increment) error {
	options := []client.CountOption{client.WithAck(client.Ack(c.Ack))}
	if id != "" {
		options = append(options, client.WithIdempotencyKey(chunkName(id, n)))
	}
	counted, err := api.IncrementAll(ctx, increments, options...)
	if errors.Is(err, client.ErrConflict) {
		var p *client.Problem
		return otherInput{id, len(increments), counted.Counted, errors.As(err, &p) && p.Unsure}
	}
	if err == nil && counted.Ack == client.Memory && c.Ack != string(client.Memory) {
		return broken(fmt.Errorf("the lines behind them are %w: is the stream away? piccolo ready says what is wrong with the service", client.ErrInMemory))
	}
	return c.explain(err)
}

// stopped says how far the lines were counted, and how to go on. What was sent
// without a name may be counted although the reply is lost.
func (c *incrCmd) stopped(err error, total int, id string, sent bool) error {
	err = fmt.Errorf("stopped after %s lines were counted: %w", grouped(total), err)
	switch {
	case errors.As(err, new(otherInput)):
		return err
	case id == "" && !sent:
		return fmt.Errorf("%w: all lines before that are counted, none behind it: to go on, give those", err)
	case id == "":
		return fmt.Errorf("%w: of the lines behind them, some may be counted", err)
	}
	return fmt.Errorf("%w: to go on, give the same input with --resume-id %s", err, id)
}

// otherInput : a chunk is not the one that was counted under its name. With more
// than one partition, those that had nothing of that one count their part of it.
type otherInput struct {
	id             string
	lines, counted int
	unsure         bool // a reply was lost before
}

func (e otherInput) Error() string {
	part := "none counted"
	switch {
	case e.unsure:
		part = "some may have counted"
	case e.counted > 0:
		part = fmt.Sprintf("%s counted, in partitions that had nothing under this name, and the others never will", grouped(e.counted))
	}
	return fmt.Sprintf("what follows is not what was counted before with --resume-id %s: of %s lines %s: to go on with the input of before, give that; count another under another name, without the lines that counted",
		e.id, grouped(e.lines), part)
}

// maxResumeID leaves room for the number of a chunk, so that its name is an
// idempotency key.
const maxResumeID = 230

func chunkName(id string, n int) string { return fmt.Sprintf("%s.chunk-%d", id, n) }

func checkResumeID(id string) error {
	if len(id) > maxResumeID {
		return fmt.Errorf("--resume-id is %d bytes long, want %d at most", len(id), maxResumeID)
	}
	return checkName("--resume-id", id)
}

// checkName refuses a name that no header can carry.
func checkName(flag, name string) error {
	for _, c := range []byte(name) {
		if c < ' ' || c == 0x7f {
			return errors.New(flag + " has a control character in it")
		}
	}
	return nil
}
