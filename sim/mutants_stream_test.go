package sim_test

import (
	"context"
	"os"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/writer"
)

// Streams that are broken, as a writer sees them, and spools.

// onDelivery does something else with each message than deliver it.
type onDelivery struct {
	streamClient
	do func(d piccolo.Delivery, deliver func(piccolo.Delivery))
}

func (s onDelivery) Subscribe(ctx context.Context, partition int, deliver func(piccolo.Delivery), failed func(error)) (func(), error) {
	return s.streamClient.Subscribe(ctx, partition, func(d piccolo.Delivery) { s.do(d, deliver) }, failed)
}

func acksOnDelivery(s streamClient) writer.Stream {
	return onDelivery{s, func(d piccolo.Delivery, deliver func(piccolo.Delivery)) {
		_ = d.Acker.Ack()
		deliver(d)
	}}
}

func announcesOnDelivery(s streamClient) writer.Stream {
	return onDelivery{s, func(d piccolo.Delivery, deliver func(piccolo.Delivery)) {
		var b piccolo.Batch
		if d.Decode(&b) == nil {
			_ = s.Announce(&piccolo.Applied{Producer: b.Producer, Partition: b.Partition, Seqs: []uint64{b.Seq}})
		}
		deliver(d)
	}}
}

func skipsWhatIsBelow(s streamClient) writer.Stream {
	last := make(map[int]uint64)
	return onDelivery{s, func(d piccolo.Delivery, deliver func(piccolo.Delivery)) {
		if d.StreamSeq <= last[d.Partition] {
			_ = d.Acker.Ack()
			return
		}
		last[d.Partition] = d.StreamSeq
		deliver(d)
	}}
}

// otherState shows a writer another state than there is.
type otherState struct {
	streamClient
	change func(*piccolo.StreamState)
}

func (s otherState) State(ctx context.Context, partition int) (piccolo.StreamState, error) {
	state, err := s.streamClient.State(ctx, partition)
	s.change(&state)
	return state, err
}

func seesNoEnd(s streamClient) writer.Stream {
	return otherState{s, func(state *piccolo.StreamState) { state.LastSeq = 1 << 40 }}
}

func seesNoOtherStream(s streamClient) writer.Stream {
	return otherState{s, func(state *piccolo.StreamState) { state.Created = time.UnixMicro(1) }}
}

type trimming struct{ streamClient }

func trimsToTheEnd(s streamClient) writer.Stream { return trimming{s} }

func (s trimming) Trim(ctx context.Context, partition int, _ uint64) error {
	return s.streamClient.Trim(ctx, partition, 1<<40)
}

type blind struct{ streamClient }

func seesNothing(s streamClient) writer.Stream { return blind{s} }

func (blind) Next(context.Context, int, uint64) (uint64, error) { return 0, nil }

type onward struct{ streamClient }

func doesNotReadAgain(s streamClient) writer.Stream { return onward{s} }

func (onward) Rewind(context.Context, int) error { return nil }

type mistaken struct{ streamClient }

func givesWrongTotals(s streamClient) writer.Stream { return mistaken{s} }

func (s mistaken) Announce(a *piccolo.Applied) error {
	for key := range a.Totals {
		a.Totals[key]++
	}
	return s.streamClient.Announce(a)
}

func emptiesTheSpool(s *slot) { _ = os.RemoveAll(s.spool) }

// deliversInAnotherOrder holds every third message back until the next has been
// delivered.
func deliversInAnotherOrder(s streamClient) writer.Stream {
	n := 0
	var held *piccolo.Delivery
	return onDelivery{s, func(d piccolo.Delivery, deliver func(piccolo.Delivery)) {
		if n++; n%3 == 0 && held == nil {
			held = &d
			return
		}
		deliver(d)
		if held != nil {
			deliver(*held)
			held = nil
		}
	}}
}
