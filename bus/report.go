package bus

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/piccolo-counter/piccolo"
)

const subjectReport = "piccolo.report."

// Report tells whoever listens how this process does. It is a courtesy and may
// be lost.
func (b *Bus) Report(r *piccolo.Report) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return b.nc.Publish(subjectReport+r.ID, data)
}

// Reports has the reports of all processes delivered, one by one, but for those of
// own, "" where there is none: a process knows what it says, and would spend as much
// on reading it as on making it. What is no report is not delivered. Without an error, the server has the subscription, and this user
// may have it: who hears nothing then is not deaf.
func (b *Bus) Reports(own string, deliver func(piccolo.Report)) (stop func(), err error) {
	sub, err := b.nc.Subscribe(subjectReport+"*", func(msg *nats.Msg) {
		if msg.Subject == subjectReport+own {
			return
		}
		r, err := piccolo.DecodeReport(msg.Data)
		if err != nil {
			b.log.Debug("a report cannot be read", "subject", msg.Subject, "error", err)
			return
		}
		deliver(r)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to reports: %w", err)
	}
	if err := b.subscribed(subjectReport + "*"); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to reports: %w", err), sub.Unsubscribe())
	}
	return func() { _ = sub.Unsubscribe() }, nil
}
