package client

import (
	"context"
	"errors"
	"net/http"
)

// few go together however many are refused: where every other one is, the good
// ones shall not each wait for a reply of their own.
const few = 16

// send has increments counted, whatever that takes: each ends up counted or told
// of as failed. What was certainly not counted is sent again in another form,
// under another key, without what the server refuses. A refusal halves how many
// go at once, and a success doubles it: so each refusal costs those few that were
// sent with it, and not all that are left.
func (b *Batcher) send(ctx context.Context, increments []Increment) {
	for n := len(increments); len(increments) > 0; {
		n = min(n, len(increments))
		err := b.count(ctx, increments[:n])
		var p *Problem
		known := errors.As(err, &p) && !p.Unsure
		switch {
		case err == nil:
			increments, n = increments[n:], 2*n
		case known && p.Index != nil && *p.Index >= 0 && *p.Index < n:
			bad := *p.Index
			b.fail(err, []Increment{increments[bad]})
			// With those before it nothing is wrong: they go last, together.
			increments = append(increments[bad+1:], increments[:bad]...)
			n = max(n/2, few)
		case known && p.Status == http.StatusRequestEntityTooLarge && n > 1:
			n /= 2
		default:
			// It is about those that were sent. The others go at once: a service that
			// is away is waited for once more, and not for each part of them.
			b.fail(err, increments[:n:n])
			increments = increments[n:]
			n = len(increments)
		}
	}
}

// count has increments counted as safely as was asked for.
func (b *Batcher) count(ctx context.Context, increments []Increment) error {
	counted, err := b.client.IncrementAll(ctx, increments, WithAck(b.options.Ack))
	if err == nil && counted.Ack == Memory && b.options.Ack != Memory {
		return ErrInMemory
	}
	return err
}

// fail tells of increments that are not known to be counted as they should.
func (b *Batcher) fail(err error, increments []Increment) {
	if b.options.Failed != nil {
		b.options.Failed(err, increments)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed.add(err)
}
