package bus

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/piccolo-counter/piccolo"
)

// Announce tells the producer of batches that they have been committed. It is
// a courtesy and may be lost; what counts is in the ledger.
func (b *Bus) Announce(a *piccolo.Applied) error {
	return b.nc.Publish(subjectApplied+a.Producer, piccolo.AppendApplied(nil, a))
}

// Applied has the notices for one producer delivered, one by one.
func (b *Bus) Applied(producer string, deliver func(piccolo.Applied)) (stop func(), err error) {
	sub, err := b.nc.Subscribe(subjectApplied+producer, func(msg *nats.Msg) {
		a, err := piccolo.DecodeApplied(msg.Data)
		if err != nil {
			b.log.Error("an applied notice cannot be read", "error", err)
			return
		}
		a.Producer = strings.TrimPrefix(msg.Subject, subjectApplied)
		deliver(a)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to applied notices: %w", err)
	}
	if err := b.subscribed(subjectApplied + producer); err != nil {
		return nil, fmt.Errorf("subscribe to applied notices: %w", err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}
