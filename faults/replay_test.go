package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo"
)

// The messages of a stream are published again, the same bytes under the same
// ids, to a stream that knows nothing of them any more: since its duplicate
// window is over, or it has been made anew while the service was down. The
// ledger still does.
func TestRepeatedAfterTheDuplicateWindow(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(s *service, js jetstream.JetStream){
		"after the duplicate window": func(s *service, js jetstream.JetStream) {
			stream, err := js.Stream(s.t.Context(), "PICCOLO")
			s.must(err)
			config := stream.CachedInfo().Config
			config.Duplicates = 100 * time.Millisecond // instead of two minutes
			_, err = js.UpdateStream(s.t.Context(), config)
			s.must(err)
		},
		"after a restart, to a stream made anew": func(s *service, _ jetstream.JetStream) {
			s.stop()
			s.must(os.RemoveAll(s.jetstream()))
			s.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, "--retain=1h")
			b := newBook()
			f := measure(t, 5, "all messages published again "+name)
			s.start()
			s.busy(b, 200)
			_, js := s.connect()
			messages := fetchAll(t, js)
			forget(s, js)
			_, js = s.connect()
			publish := func(m *nats.Msg) (duplicate bool) {
				m.Subject = "piccolo.deltas.0"
				ack, err := js.PublishMsg(t.Context(), m)
				s.must(err)
				return ack.Duplicate
			}
			last := len(messages) - 1
			s.until("the stream knows the messages no more", func() bool { return !publish(messages[last]) })
			f.Times++
			for _, m := range messages[:last] {
				if publish(m) {
					t.Fatalf("the stream still knows message %s: the test proves nothing", m.Header.Get(jetstream.MsgIDHeader))
				}
				f.Times++
			}
			s.until("the messages have come again", func() bool {
				return s.metric("piccolo_duplicate_batches_total") >= float64(len(messages))
			})
			s.busy(b, 20)
			s.stop()
			f.check(b, s.contents())
		})
	}
}

// fetchAll reads everything that the stream holds.
func fetchAll(t *testing.T, js jetstream.JetStream) (messages []*nats.Msg) {
	t.Helper()
	stream, err := js.Stream(t.Context(), "PICCOLO")
	if err != nil {
		t.Fatal(err)
	}
	for state := stream.CachedInfo().State; len(messages) < int(state.Msgs); {
		m, err := stream.GetMsg(t.Context(), state.FirstSeq+uint64(len(messages)))
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, &nats.Msg{Header: m.Header, Data: m.Data})
	}
	if len(messages) == 0 {
		t.Fatal("the stream holds nothing to repeat")
	}
	return messages
}

// A program of its own publishes batches, in any order and again and again,
// with no ids that the stream could tell duplicates by; and the writer is
// killed on the way.
func TestForeignProducers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newBook()
	s.start()
	nc, js := s.connect()
	var messages [][]byte
	for _, producer := range []string{"made-up", "another_1"} {
		for seq := range uint64(40) {
			batch := piccolo.Batch{BatchID: piccolo.BatchID{Producer: producer, Seq: seq + 1}}
			for range 1 + rand.IntN(5) {
				d := piccolo.Delta{Key: fmt.Sprintf("key-%d", rand.IntN(20)), Value: anyValue()}
				batch.Deltas, batch.Increments = append(batch.Deltas, d), batch.Increments+1
				b.sure(d.Key, d.Value)
			}
			data := piccolo.AppendBatch(nil, &batch)
			messages = append(messages, data, data, data)
		}
	}
	rand.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	publish := func(messages [][]byte) {
		t.Helper()
		for _, data := range messages {
			if _, err := js.Publish(t.Context(), "piccolo.deltas.0", data); err != nil {
				t.Fatal(err)
			}
		}
	}
	half := len(messages) / 2
	publish(messages[:half])
	s.kill()
	s.start()
	s.until("the connection stands again", nc.IsConnected)
	publish(messages[half:])
	s.quietIn(b)
	s.stop()
	db := s.contents()
	f := measure(t, 4, "batches delivered in any order, three times each")
	f.Times = len(messages)
	f.check(b, db)
	if want, _, _ := b.totals(); db.increments != want {
		t.Errorf("%d increments folded, want %d", db.increments, want)
	}
}
