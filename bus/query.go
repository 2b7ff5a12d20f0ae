package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/piccolo-counter/piccolo"
)

// Query asks the writer that owns a partition. The context's deadline bounds
// it, and the writer is told of it: it waits as long for a batch that is asked for.
func (b *Bus) Query(ctx context.Context, partition int, q piccolo.Query) (_ piccolo.Answer, err error) {
	ctx, done := b.asks(ctx, subjectQuery+strconv.Itoa(partition))
	defer done(&err)
	data, err := json.Marshal(q)
	if err != nil {
		return piccolo.Answer{}, err
	}
	msg := &nats.Msg{Subject: subjectQuery + strconv.Itoa(partition), Data: data}
	if deadline, ok := ctx.Deadline(); ok {
		msg.Header = nats.Header{headerTimeout: {time.Until(deadline).String()}}
	}
	reply, err := b.nc.RequestMsgWithContext(ctx, msg)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return piccolo.Answer{}, fmt.Errorf("no writer serves partition %d", partition)
	case err != nil:
		return piccolo.Answer{}, fmt.Errorf("query: %w", err)
	}
	if text := reply.Header.Get(micro.ErrorHeader); text != "" {
		if reply.Header.Get(micro.ErrorCodeHeader) == codeLate {
			return piccolo.Answer{}, context.DeadlineExceeded
		}
		return piccolo.Answer{}, errors.New(text)
	}
	var a piccolo.Answer
	return a, json.Unmarshal(reply.Data, &a)
}

const (
	headerTimeout = "Piccolo-Timeout"
	codeLate      = "504"

	// queryTimeout bounds a query that brings no deadline, as one by hand.
	queryTimeout = 5 * time.Second
)

// Serve answers the queries for a partition, as a NATS micro service, so that
// nats micro ls shows the writers. Each has as long as whoever asks waits.
func (b *Bus) Serve(partition int, version string, answer func(context.Context, piccolo.Query) (piccolo.Answer, error)) (stop func(), err error) {
	svc, err := micro.AddService(b.nc, micro.Config{
		Name:        "piccolo-writer",
		Version:     version,
		Description: "Answers reads with what is committed",
		Metadata:    map[string]string{"partition": strconv.Itoa(partition)},
	})
	if err != nil {
		return nil, fmt.Errorf("serve queries: %w", err)
	}
	err = svc.AddEndpoint("query", micro.HandlerFunc(func(r micro.Request) {
		var q piccolo.Query
		if err := json.Unmarshal(r.Data(), &q); err != nil {
			_ = r.Error("400", fmt.Sprintf("query: %v", err), nil)
			return
		}
		timeout, err := time.ParseDuration(r.Headers().Get(headerTimeout))
		if err != nil {
			timeout = queryTimeout
		}
		go func() { // it may wait for a batch
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			msg := newReply(answer(ctx, q))
			msg.Subject = r.Reply()
			// r.Respond would write what the service reads once its handler
			// has returned.
			_ = b.nc.PublishMsg(msg)
		}()
	}), micro.WithEndpointSubject(subjectQuery+strconv.Itoa(partition)))
	if err == nil {
		err = b.subscribed(subjectQuery + strconv.Itoa(partition))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve queries: %w", err), svc.Stop())
	}
	return func() { _ = svc.Stop() }, nil
}

// newReply is the reply to a query, errors in the form that micro services give
// them.
func newReply(a piccolo.Answer, err error) *nats.Msg {
	var data []byte
	if err == nil {
		data, err = json.Marshal(a)
	}
	code, text := "500", ""
	switch {
	case err == nil:
		return &nats.Msg{Data: data}
	case errors.Is(err, context.DeadlineExceeded):
		code, text = codeLate, "not folded in time"
	default:
		text = err.Error()
	}
	return &nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {code}, micro.ErrorHeader: {text}}}
}
