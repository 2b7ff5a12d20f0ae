package piccolo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

var (
	created = time.Date(2024, 2, 29, 12, 0, 0, 999, time.UTC)
	stored  = created.Add(time.Hour)
)

func TestDeliveryDecode(t *testing.T) {
	accepted := stored.Add(-time.Minute)
	id := piccolo.BatchID{Producer: "p", Partition: 3, Seq: 7}
	for _, tt := range []struct {
		name string
		json bool
		data []byte
		want piccolo.Batch
	}{
		{
			"protobuf", false, piccolo.AppendBatch(nil, &piccolo.Batch{BatchID: id, Increments: 1, Accepted: accepted}),
			piccolo.Batch{BatchID: id, Increments: 1, Accepted: accepted.Truncate(time.Microsecond)},
		},
		{
			"nobody says when it was accepted, so when it was stored", false, piccolo.AppendBatch(nil, &piccolo.Batch{BatchID: id}),
			piccolo.Batch{BatchID: id, Accepted: stored},
		},
		{
			"JSON without a name, named by where it stands", true, []byte(`{"deltas":[{"key":"foo","value":10}]}`),
			piccolo.Batch{
				BatchID:    piccolo.BatchID{Producer: "nats-20240229T130000-000000999-17", Partition: 3, Seq: 1},
				Increments: 1, Accepted: stored, Deltas: []piccolo.Delta{{Key: "foo", Value: 10}},
			},
		},
		{
			"JSON with a name", true, []byte(`{"producer":"p","seq":7}`),
			piccolo.Batch{BatchID: id, Accepted: stored},
		},
	} {
		d := piccolo.Delivery{Partition: 3, StreamSeq: 17, Created: created, Stored: stored, JSON: tt.json, Data: tt.data}
		var got piccolo.Batch
		if err := d.Decode(&got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		t.Run(tt.name, func(t *testing.T) { sameBatch(t, got, tt.want) })
	}
}

// Keys are counted in one partition only, so a batch on the wrong subject is
// a mistake, whatever it is written in.
func TestDeliveryDecodeRefusesAnotherPartition(t *testing.T) {
	for _, d := range []piccolo.Delivery{
		{Data: piccolo.AppendBatch(nil, &piccolo.Batch{BatchID: piccolo.BatchID{Producer: "p", Partition: 4, Seq: 1}})},
		{JSON: true, Data: []byte(`{"producer":"p","seq":1,"partition":4}`)},
		{JSON: true, Data: []byte(`{"partition":4}`)},
	} {
		d.Partition = 3
		var b piccolo.Batch
		if err := d.Decode(&b); err == nil || !strings.Contains(err.Error(), "partition 4") {
			t.Errorf("%s: got error %v, want one that says partition 4", d.Data, err)
		}
	}
}

// The name that a message without one gets is good for the ledger, and is
// another where the number is given out again: the stream was rolled back, or
// made anew.
func TestDeliveryID(t *testing.T) {
	d := piccolo.Delivery{Partition: 3, StreamSeq: 1<<64 - 1, Created: created, Stored: stored}
	if err := piccolo.CheckProducer(d.ID().Producer); err != nil {
		t.Error(err)
	}
	again, next := d, d
	again.Stored = stored.Add(time.Nanosecond)
	next.StreamSeq--
	if again.ID() == d.ID() || next.ID() == d.ID() {
		t.Errorf("two messages name a batch %v", d.ID())
	}
}
