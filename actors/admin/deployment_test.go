package admin_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// ingressSays and writerSays are the n-th reports of processes.
func ingressSays(at time.Time, accepted, seq, published uint64) piccolo.Report {
	return piccolo.Report{ID: "i", Role: "ingress", At: at, Ingress: &piccolo.IngressReport{
		Producer:  "p",
		Published: []piccolo.Published{{Partition: 3, Accepted: accepted, Seq: seq, Increments: published}},
		Replies:   map[string]uint64{"stored": accepted, "400": accepted / 10},
	}}
}

func writerSays(at time.Time, batches, folded uint64) piccolo.Report {
	return piccolo.Report{ID: "w", Role: "writer", At: at, Writer: &piccolo.WriterReport{
		Partitions: []int{3}, Increments: folded, Rows: folded / 5, Backlog: &piccolo.Backlog{Batches: 7, Bytes: 70},
		Folded: []piccolo.FoldedProducer{{Producer: "p", Partition: 3, Watermark: batches, Batches: batches, Increments: folded}},
	}}
}

func TestDeploymentTakesReportsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := admin.NewDeployment()
		tick := func(reports ...piccolo.Report) admin.Snapshot {
			for _, r := range reports {
				d.Take(r)
			}
			_, changed := d.Now()
			d.Tick(time.Now())
			<-changed
			s, _ := d.Now()
			return s
		}
		tick(ingressSays(time.Now(), 1000, 10, 900), writerSays(time.Now(), 8, 800))
		time.Sleep(2 * time.Second)
		s := tick(ingressSays(time.Now(), 3000, 20, 2900), writerSays(time.Now(), 18, 2800))
		p := s.Point
		if p.Stored != 1000 || p.Refused != 100 || p.Memory != 0 || p.Accepted != 1000 || p.Published != 1000 || p.Batches != 5 ||
			p.Folded != 1000 || p.Rows != 200 || *p.RowGear != 5 || *p.BatchGear != 200 || *p.Backlog != 7 || *p.BacklogBytes != 70 || p.InMemory != 100 {
			t.Errorf("%+v", p)
		}
		want := admin.Conservation{Accepted: 3000, InMemory: 100, Published: 2900, Backlog: 100, Folded: 2800, Followed: true}
		if s.Conservation != want {
			t.Errorf("%+v", s.Conservation)
		}
		if len(s.Processes) != 2 || s.Processes[0].Role != "ingress" || s.Processes[1].Folded != 1000 || *s.Processes[1].Backlog != 7 {
			t.Errorf("%+v", s.Processes)
		}
		// A report that comes twice, or late, changes nothing.
		if s := tick(ingressSays(time.Now().Add(-2*time.Second), 1000, 10, 900)); s.Point.Accepted != 1000 {
			t.Errorf("%+v", s.Point)
		}
		// Whoever is silent has no rate, is shown for a while, and forgotten.
		time.Sleep(10 * time.Second)
		if s := tick(); s.Point.Accepted != 0 || len(s.Processes) != 2 || s.Processes[0].Silent != 10 || s.Point.Backlog != nil {
			t.Errorf("%+v", s)
		}
		time.Sleep(10 * time.Minute)
		if s := tick(); len(s.Processes) != 0 || len(d.Points()) != 5 {
			t.Errorf("%+v, %d points", s, len(d.Points()))
		}
		for range 1000 {
			d.Tick(time.Now())
		}
		if n := len(d.Points()); n != 600 {
			t.Errorf("keeps %d points", n)
		}
	})
}

// A process that ends says how; one that starts where another was takes its
// place; and partitions that no writer reports on are named.
func TestDeploymentKnowsWhoEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := admin.NewDeployment()
		tick := func(reports ...piccolo.Report) admin.Snapshot {
			for _, r := range reports {
				d.Take(r)
			}
			d.Tick(time.Now())
			s, _ := d.Now()
			return s
		}
		at := func(r piccolo.Report, id, ended string) piccolo.Report {
			r.ID, r.Host, r.Admin, r.Of, r.Ended = id, "h", "http://127.0.0.1:1", 4, ended
			if r.Started.IsZero() {
				r.Started = time.Now()
			}
			return r
		}
		writer := at(writerSays(time.Now(), 8, 800), "w", "")
		if s := tick(at(ingressSays(time.Now(), 1000, 10, 900), "i", ""), writer); len(s.Unserved) != 0 {
			t.Errorf("at the start, partitions %v have no writer", s.Unserved)
		}
		time.Sleep(5 * time.Second)
		last := writerSays(time.Now(), 9, 850)
		last.Started = writer.Started
		s := tick(at(ingressSays(time.Now(), 1000, 10, 900), "i", ""), at(last, "w", "failed, disk I/O error"))
		if p := s.Processes[1]; p.Ended != "failed, disk I/O error" || p.EndedAt != time.Now().UnixMilli() || p.Silent != 0 || p.Folded != 0 || s.Point.Folded != 0 {
			t.Errorf("%+v", p)
		}
		if s.Conservation.Folded != 850 || len(s.Unserved) != 4 {
			t.Errorf("%+v, partitions %v have no writer", s.Conservation, s.Unserved)
		}
		time.Sleep(10 * time.Second)
		s = tick(at(writerSays(time.Now(), 9, 850), "v", ""), at(ingressSays(time.Now(), 1000, 10, 900), "i", ""))
		if len(s.Processes) != 2 || s.Processes[1].ID != "v" || s.Processes[1].Ended != "" || len(s.Unserved) != 3 || s.Unserved[2] != 2 {
			t.Errorf("%+v, partitions %v have no writer", s.Processes, s.Unserved)
		}
	})
}

// A clock that is set back silences nobody, and makes no rate wrong; a report that
// comes late is known by what no clock changes.
func TestDeploymentOfProcessesWhoseClocksAreSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := admin.NewDeployment()
		start := time.Now()
		tick := func(set time.Duration, up time.Duration, accepted uint64) admin.Snapshot {
			r := ingressSays(start.Add(up+set), accepted, accepted/100, accepted)
			r.Up = up
			d.Take(r)
			d.Tick(time.Now())
			s, _ := d.Now()
			return s
		}
		tick(0, time.Second, 1000)
		for n := range 10 {
			time.Sleep(time.Second)
			s := tick(-time.Hour, time.Duration(n+2)*time.Second, uint64(2000+1000*n))
			if s.Processes[0].Silent != 0 || s.Point.Accepted != 1000 {
				t.Fatalf("after %d s: silent for %v s, %v increments a second", n+1, s.Processes[0].Silent, s.Point.Accepted)
			}
		}
		if s := tick(0, 5*time.Second, 5000); s.Point.Accepted != 1000 || s.Conservation.Accepted != 11000 {
			t.Errorf("with a late report: %v increments a second, %d accepted", s.Point.Accepted, s.Conservation.Accepted)
		}
	})
}

// Whoever reports under ever new names takes no more than so much.
func TestDeploymentIsBounded(t *testing.T) {
	t.Parallel()
	d := admin.NewDeployment()
	for n := range 1500 {
		d.Take(piccolo.Report{ID: fmt.Sprint("x", n), Host: fmt.Sprint(n), Up: 1})
	}
	d.Tick(time.Now())
	if s, _ := d.Now(); len(s.Processes) != 1000 {
		t.Errorf("%d processes", len(s.Processes))
	}
}
