package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
)

const (
	// ackWait is after how long a message that was fetched and not acked is
	// delivered again. Transactions stay far below it.
	ackWait = 30 * time.Second
	// maxAckPending bounds what is fetched and not acked, in messages.
	maxAckPending = 64 << 10
	// fetchBytes bounds what is fetched and waits in memory. It must exceed
	// the largest message.
	fetchBytes = 4 * maxPayload
)

func consumerConfig(partition int, metadata map[string]string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       consumerName(partition),
		Description:   fmt.Sprintf("Folds partition %d into SQLite", partition),
		FilterSubject: deltasSubject(partition),
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxAckPending: maxAckPending,
		MaxDeliver:    -1, // a batch is never given up
		Metadata:      metadata,
	}
}

// consumer makes the durable consumer of a partition, or takes the one there is
// over from the writer before.
func (b *Bus) consumer(ctx context.Context, partition int) (_ jetstream.Consumer, err error) {
	ctx, done := b.asks(ctx, api("CONSUMER.INFO"), api("CONSUMER.CREATE"))
	defer done(&err)
	have, err := b.takeConsumer(ctx, partition)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		have, err = b.makeConsumer(ctx, partition)
	}
	if errors.Is(err, jetstream.ErrConsumerExists) {
		// Another writer has made it since it was looked for, for a database that
		// may be another one.
		have, err = b.takeConsumer(ctx, partition)
	}
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", consumerName(partition), err)
	}
	b.owner.taken.Store(partition, have.CachedInfo().Config.Metadata[metaMove])
	return have, nil
}

func (b *Bus) makeConsumer(ctx context.Context, partition int) (c jetstream.Consumer, err error) {
	move, _ := b.owner.taken.Load(partition) // where this is a consumer made anew
	known, _ := move.(string)
	config := consumerConfig(partition, b.owner.metadata(known))
	err = pastClearing(ctx, noStoreOfConsumer, func() (err error) {
		c, err = again(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
			return b.js.CreateConsumer(ctx, Stream, config)
		})
		return err
	})
	return c, err
}

func (b *Bus) takeConsumer(ctx context.Context, partition int) (jetstream.Consumer, error) {
	have, err := again(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
		return b.js.Consumer(ctx, Stream, consumerName(partition))
	})
	if err != nil {
		return nil, err
	}
	metadata := have.CachedInfo().Config.Metadata
	if err := b.owner.admits(partition, metadata); err != nil {
		return nil, err
	}
	if err := b.owner.again(partition, metadata); err != nil {
		return nil, err
	}
	if before := metadata[metaDatabase]; before != "" && before != b.owner.database {
		b.log.Error("the partition belonged to another database, this one has it from now on",
			"partition", partition, "before", before, "now", b.owner.database)
	}
	move := metadata[metaMove]
	if metadata[metaDatabase] != b.owner.database {
		move = "" // which brought it to the other one
	}
	return again(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
		return b.js.UpdateConsumer(ctx, Stream, consumerConfig(partition, b.owner.metadata(move)))
	})
}

// Subscribe has the messages of a partition delivered, one by one, from one
// goroutine; deliver may block. When the subscription ends by itself, failed
// is called with the reason, and may be called again with another until stop has
// returned; it must not wait for stop. It ends with the connection that it began
// on: what came on that and was not acked would come again only after ackWait,
// and to subscribe again has it come at once.
//
// What is delivered for the first time comes in the stream's order: a
// subscription begins with what was not acked, and ends where a delivery was
// lost on the way, before anything that stands behind it is delivered.
func (b *Bus) Subscribe(ctx context.Context, partition int, deliver func(piccolo.Delivery), failed func(error)) (stop func(), err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"), api("CONSUMER.RESET"))
	defer done(&err)
	reconnected := b.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer func() {
		if err != nil {
			b.nc.RemoveStatusListener(reconnected)
		}
	}()
	c, err := b.consumer(ctx, partition)
	if err != nil {
		return nil, err
	}
	stream, err := b.stream(ctx)
	if err != nil {
		return nil, err
	}
	created := stream.CachedInfo().Created
	b.created.Store(created.UnixNano())
	// What waits for deliver while the connection is lost came before that.
	reconnects := b.nc.Stats().Reconnects
	if err := b.lookForDamage(ctx); err != nil {
		return nil, err
	}
	// Whoever fetched what is not acked is gone, since one writer at a time serves a
	// partition. Left alone it would come again only after ackWait, and behind what
	// is new. With the reset the numbers begin anew, whatever the consumer says of
	// them: where nothing was ever acked the server reads that from a file, which it
	// may not have written yet.
	var numbers deliveries
	if _, err := b.js.ResetConsumer(ctx, Stream, consumerName(partition)); err != nil {
		return nil, fmt.Errorf("consumer %s: have what was fetched before delivered again: %w", consumerName(partition), err)
	}
	cc, err := c.Consume(func(msg jetstream.Msg) {
		meta, err := msg.Metadata()
		if err != nil {
			b.log.Error("a message without JetStream's metadata came on a consumer", "error", err)
			return
		}
		if gap, ok := numbers.next(meta.Sequence.Consumer); !ok {
			if gap {
				failed(errLostDelivery)
			}
			return
		}
		deliver(piccolo.Delivery{
			Partition: partition,
			StreamSeq: meta.Sequence.Stream,
			Created:   created,
			Stored:    meta.Timestamp,
			Pending:   meta.NumPending,
			JSON:      isJSON(msg.Headers(), msg.Data()),
			Data:      msg.Data(),
			Trace:     trace(msg.Headers()),
			Acker:     acker{b, msg, created.UnixNano(), reconnects},
		})
	},
		jetstream.PullMaxBytes(fetchBytes),
		jetstream.PullHeartbeat(5*time.Second),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			switch {
			case errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrConsumerNotFound),
				errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrBadRequest):
				failed(err)
			default:
				b.log.Warn("consumer in trouble, trying again", "consumer", consumerName(partition), "error", err)
			}
		}))
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", consumerName(partition), err)
	}
	var listener sync.WaitGroup
	listener.Go(func() {
		if <-reconnected == nats.CONNECTED {
			failed(errReconnected)
		}
	})
	return func() {
		b.nc.RemoveStatusListener(reconnected)
		listener.Wait()
		// The server must have heard of the end before anybody subscribes
		// again, or it delivers once more to who is gone, for ackWait.
		closed := cc.Closed()
		cc.Stop()
		<-closed
	}, nil
}

// isJSON says whether a message was written by hand. Who publishes by hand spells
// the header's name as it pleases, adds a charset, or has no such header at all;
// no batch in protobuf begins with a brace, which would be the start of a group.
func isJSON(h nats.Header, data []byte) bool {
	for name, values := range h {
		if strings.EqualFold(name, contentType) && len(values) > 0 {
			media, _, _ := strings.Cut(values[0], ";")
			return strings.EqualFold(strings.TrimSpace(media), typeJSON)
		}
	}
	return bytes.HasPrefix(data, []byte("{"))
}

// trace reads what names the flush of a message, where somebody wants to see it.
func trace(h nats.Header) piccolo.SpanContext {
	if h[headerTrace] == nil {
		return piccolo.SpanContext{}
	}
	c, _ := piccolo.ParseTraceparent(h.Get(headerTrace))
	return c
}

var errLostDelivery = errors.New("a delivery was lost on the way, it comes again")

// deliveries follows the numbers that a consumer gives its deliveries, repeats
// included: each is one more than the last.
type deliveries struct {
	last   uint64
	broken bool
}

// next takes a delivery's number. It is not ok from the first gap on, for which
// gap is true.
func (d *deliveries) next(number uint64) (gap, ok bool) {
	if d.broken {
		return false, false
	}
	d.last++
	d.broken = number != d.last
	return d.broken, !d.broken
}

// acker acks a message by its number, which is all that the server goes by.
type acker struct {
	bus        *Bus
	msg        jetstream.Msg
	created    int64  // when the stream was that it is in, Unix time in ns
	reconnects uint64 // when the subscription began
}

var errReconnected = errors.New("the connection to NATS was lost: what was asked on it is asked again, and what came on it and was not acked comes again")

var errMadeAnew = errors.New("the stream that the message came from has been made anew")

// Ack acks the message, unless its number may be another's now: the connection
// was lost since the subscription began, and the server may have lost messages when it started
// again; or this bus has subscribed to a stream that was made anew. What was
// acked before that comes before it, on the same connection.
func (a acker) Ack() error {
	switch {
	case a.bus.nc.Stats().Reconnects != a.reconnects:
		return errReconnected
	case a.bus.created.Load() != a.created:
		return errMadeAnew
	}
	return a.msg.Ack()
}

// State reads the state of the stream and of a partition's consumer.
func (b *Bus) State(ctx context.Context, partition int) (_ piccolo.StreamState, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"), api("CONSUMER.INFO"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return piccolo.StreamState{}, err
	}
	c, err := again(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
		return stream.Consumer(ctx, consumerName(partition))
	})
	if err != nil {
		return piccolo.StreamState{}, fmt.Errorf("consumer %s: %w", consumerName(partition), err)
	}
	s, ci := stream.CachedInfo(), c.CachedInfo()
	if err := b.owner.superseded(partition, ci.Config.Metadata); err != nil {
		return piccolo.StreamState{}, err
	}
	return piccolo.StreamState{
		Created:    s.Created,
		FirstSeq:   s.State.FirstSeq,
		LastSeq:    s.State.LastSeq,
		Messages:   s.State.Msgs,
		Bytes:      s.State.Bytes,
		MaxBytes:   s.Config.MaxBytes,
		Damaged:    b.damaged.Load(),
		AckFloor:   ci.AckFloor.Stream,
		Pending:    ci.NumPending,
		AckPending: ci.NumAckPending,
	}, nil
}

// lookForDamage asks the server how much of the stream it could not read. It
// finds that out when it starts, and says so where it is asked for all that is
// missing from the stream, which is too much to ask for every second, and which
// the client knows nothing of.
func (b *Bus) lookForDamage(ctx context.Context) error {
	reply, err := again(ctx, b, func(ctx context.Context) (*nats.Msg, error) {
		return b.nc.RequestWithContext(ctx, api("STREAM.INFO"), []byte(`{"deleted_details":true}`))
	})
	if err != nil {
		return fmt.Errorf("stream %s: %w", Stream, err)
	}
	var info struct {
		Error *jetstream.APIError `json:"error"`
		State struct {
			Lost struct {
				Bytes uint64 `json:"bytes"`
			} `json:"lost"`
		} `json:"state"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		return fmt.Errorf("stream %s: %w", Stream, err)
	}
	if info.Error != nil { // or what was damaged would be forgotten, and found again
		return fmt.Errorf("stream %s: %w", Stream, info.Error)
	}
	b.damaged.Store(info.State.Lost.Bytes)
	return nil
}

// Rewind has everything that the stream holds for a partition delivered again, to
// whoever subscribes next.
// The ledger makes that safe.
func (b *Bus) Rewind(ctx context.Context, partition int) (err error) {
	ctx, done := b.asks(ctx, api("CONSUMER.RESET"))
	defer done(&err)
	if _, err := b.consumer(ctx, partition); err != nil {
		return err
	}
	// Not deleted and made anew: while there is none, a writer that was superseded
	// could make it, and have the partition back.
	if _, err := b.js.ResetConsumerToSequence(ctx, Stream, consumerName(partition), 1); err != nil {
		return fmt.Errorf("consumer %s: have everything delivered again: %w", consumerName(partition), err)
	}
	return nil
}

// Next returns the StreamSeq of the first message of a partition at or after
// seq, 0 where the stream holds none.
func (b *Bus) Next(ctx context.Context, partition int, seq uint64) (_ uint64, err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"), api("STREAM.MSG.GET"), api("DIRECT.GET"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return 0, err
	}
	msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(deltasSubject(partition)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("stream %s: message %d: %w", Stream, seq, err)
	}
	return msg.Sequence, nil
}

// Trim removes the messages of a partition up to and including upto.
func (b *Bus) Trim(ctx context.Context, partition int, upto uint64) (err error) {
	ctx, done := b.asks(ctx, api("STREAM.INFO"), api("STREAM.PURGE"))
	defer done(&err)
	stream, err := b.stream(ctx)
	if err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(deltasSubject(partition)), jetstream.WithPurgeSequence(upto+1))
}
