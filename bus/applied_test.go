package bus_test

import (
	"reflect"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

func TestAppliedNotices(t *testing.T) {
	t.Parallel()
	r := start(t)
	notices := make(chan piccolo.Applied, 10)
	stop, err := r.Applied("p", func(a piccolo.Applied) { notices <- a })
	if err != nil {
		t.Fatal(err)
	}
	send := func(a piccolo.Applied) {
		t.Helper()
		if err := r.Announce(&a); err != nil {
			t.Fatal(err)
		}
	}
	sent := []piccolo.Applied{
		{Producer: "p", Partition: 0, Seqs: []uint64{1}},
		{Producer: "p", Partition: 2, Seqs: []uint64{7, 9, 8}, Totals: map[string]int64{"foo": -10, "ключ": 1 << 62}},
	}
	send(sent[0])
	send(piccolo.Applied{Producer: "q", Seqs: []uint64{1}})  // to another
	send(piccolo.Applied{Producer: "pp", Seqs: []uint64{1}}) // to one whose id is longer
	if err := r.nc.Publish("piccolo.applied.p", []byte{0xFF}); err != nil {
		t.Fatal(err)
	}
	if err := r.nc.Flush(); err != nil { // what cannot be read is passed over
		t.Fatal(err)
	}
	send(sent[1])
	for _, want := range sent {
		select {
		case got := <-notices:
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, want %+v", got, want)
			}
		case <-soon(t).Done():
			t.Fatal("no notice")
		}
	}
	stop()
	send(sent[0])
	if _, err := r.Partitions(soon(t)); err != nil { // the server has taken it in
		t.Fatal(err)
	}
	if len(notices) > 0 {
		t.Errorf("%+v after stop", <-notices)
	}
}

// Outside programs may listen too.
func TestAppliedSubject(t *testing.T) {
	t.Parallel()
	r := start(t)
	sub, err := r.nc.SubscribeSync("piccolo.applied.*")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := r.Announce(&piccolo.Applied{Producer: "p", Seqs: []uint64{7}}); err != nil {
		t.Fatal(err)
	}
	msg, err := sub.NextMsgWithContext(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	a, err := piccolo.DecodeApplied(msg.Data)
	if err != nil || msg.Subject != "piccolo.applied.p" || len(a.Seqs) != 1 || a.Seqs[0] != 7 {
		t.Errorf("%+v on %s, %v", a, msg.Subject, err)
	}
}
