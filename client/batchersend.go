package client

import (
	"context"
	"errors"
	"net/http"
)

// send has increments counted, whatever that takes: each ends up counted or told
// of as failed. What was certainly not counted is sent again in another form,
// under another key, without what the server refuses.
func (b *Batcher) send(ctx context.Context, increments []Increment) {
	for len(increments) > 0 {
		counted, err := b.client.IncrementAll(ctx, increments, WithAck(b.options.Ack))
		if err == nil && counted.Ack == Memory && b.options.Ack != Memory {
			err = ErrInMemory
		}
		if err == nil {
			return
		}
		var p *Problem
		known := errors.As(err, &p) && !p.Unsure
		switch {
		case known && p.Index != nil && *p.Index >= 0 && *p.Index < len(increments):
			bad := *p.Index
			b.fail(err, []Increment{increments[bad]})
			increments = append(increments[:bad], increments[bad+1:]...)
		case known && p.Status == http.StatusRequestEntityTooLarge && len(increments) > 1:
			half := len(increments) / 2
			b.send(ctx, increments[:half:half])
			increments = increments[half:]
		default:
			b.fail(err, increments)
			return
		}
	}
}

// fail tells of increments that are not known to be counted as they should.
func (b *Batcher) fail(err error, increments []Increment) {
	if b.options.Failed != nil {
		b.options.Failed(err, increments)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = errors.Join(b.failed, err)
}
