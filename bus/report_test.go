package bus_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
)

func TestReports(t *testing.T) {
	t.Parallel()
	r := start(t)
	got := make(chan piccolo.Report, 1)
	stop, err := r.Reports("own", func(r piccolo.Report) { got <- r })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := r.nc.Publish("piccolo.report.x", []byte("what is this")); err != nil { // is no harm
		t.Fatal(err)
	}
	if err := r.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := r.Report(&piccolo.Report{ID: "own", At: time.Unix(2, 0)}); err != nil { // is not told back
		t.Fatal(err)
	}
	want := piccolo.Report{
		ID: "a", Role: "all-in-one", Started: time.Unix(1, 0).UTC(), At: time.Unix(2, 0).UTC(),
		Ingress: &piccolo.IngressReport{Producer: "p", Published: []piccolo.Published{{Partition: 1, Accepted: 3, Seq: 2, Increments: 1}}, Flush: piccolo.Spread{5: 7}},
		Writer:  &piccolo.WriterReport{Backlog: &piccolo.Backlog{Batches: 3}, Hottest: []piccolo.Hot{{Key: "<script>", Moved: 1.5}}},
	}
	if err := r.Report(&want); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-got:
		if !reflect.DeepEqual(r, want) {
			t.Errorf("got %+v, want %+v", r, want)
		}
	case <-soon(t).Done():
		t.Error("no report came")
	}
}
