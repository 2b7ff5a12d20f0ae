// Package bus is the stream between ingress and writer: NATS JetStream, in a
// cluster or embedded in this process.
//
// It promises its callers less than JetStream does, on purpose. A message comes at
// least once; what comes for the first time comes in the stream's order, and
// repeats come whenever. What makes sums exact is the ledger, which needs no
// order at all.
package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names of the contract. Outside programs rely on them.
const (
	Stream          = "PICCOLO"
	subjectDeltas   = "piccolo.deltas."
	subjectApplied  = "piccolo.applied."
	subjectQuery    = "piccolo.query."
	consumerPrefix  = "writer-"
	metaPartitions  = "piccolo.partitions"
	metaGrewFrom    = "piccolo.grew_from" // how many partitions the stream was made with, where it has grown since
	metaVersion     = "piccolo.version"
	metaDatabase    = "piccolo.database" // of a consumer: the id of the database that has the partition
	metaWriter      = "piccolo.writer"   // of a consumer: the writer that serves it, named at random
	metaMove        = "piccolo.move"     // of a consumer: the move that brought the partition to its database, named at random
	headerKeys      = "Piccolo-Keys"
	headerIncrement = "Piccolo-Increments"
	contentType     = "Content-Type"
	headerTrace     = "traceparent" // of the flush, where it is sampled
	typeProtobuf    = "application/x-protobuf"
	typeJSON        = "application/json"
)

func deltasSubject(partition int) string { return subjectDeltas + strconv.Itoa(partition) }
func consumerName(partition int) string  { return consumerPrefix + strconv.Itoa(partition) }

// Bus is a connection to the stream.
type Bus struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	log   *slog.Logger
	owner owner

	damaged atomic.Uint64 // bytes of the stream, see lookForDamage
	created atomic.Int64  // when the stream was that was subscribed to last, Unix time in ns

	*refusals
}

func connect(url, name string, log *slog.Logger, opts []nats.Option) (*Bus, error) {
	refused := new(refusals)
	nc, err := nats.Connect(url, append([]nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1), // the default gives up for good after two minutes
		nats.ReconnectWait(250 * time.Millisecond),
		// A server behind a wire that was cut says nothing; by default that
		// would be noticed after six minutes.
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("connection to NATS lost, trying again", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("connected to NATS again", "url", Redacted(nc.ConnectedUrl()))
			refused.reconnected(nc.Stats().Reconnects)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if r := refused.noted(err); r != nil {
				log.Error("NATS refused something", "error", r)
				return
			}
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Error("NATS dropped something", "error", err, "subject", subject)
		}),
	}, opts...)...)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	refused.nc, refused.inbox = nc, nc.Opts.InboxPrefix
	if refused.inbox == "" {
		refused.inbox = nats.InboxPrefix
	}
	return &Bus{nc: nc, js: js, log: log, owner: owner{writer: rand.Text(), taken: new(sync.Map)}, refusals: refused}, nil
}

// Close closes the connection. Nothing is waited for: whoever published has
// had an acknowledgement, or has not.
func (b *Bus) Close() { b.nc.Close() }

// Connections is how often the connection has been made.
func (b *Bus) Connections() uint64 { return b.nc.Stats().Reconnects + 1 }

// Check says whether the connection stands, and the server lets this user do
// what it does.
func (b *Bus) Check(context.Context) error {
	if s := b.nc.Status(); s != nats.CONNECTED {
		return fmt.Errorf("no connection to NATS (%s), it is tried again and again", strings.ToLower(s.String()))
	}
	return b.check()
}

// isAPIError says whether err is JetStream's answer with one of codes.
func isAPIError(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode == code {
			return true
		}
	}
	return false
}
