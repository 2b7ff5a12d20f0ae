package admin_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/admin"
)

// Anyone with the right to publish can report anything. Nothing that passes for
// reports ends a process, or takes its memory, or breaks the page: every list in
// it is there, every number finite.
func FuzzDeployment(f *testing.F) {
	f.Add([]byte(`{}`), []byte(`null`))
	f.Add([]byte(`{"id":"x","at":"2026-01-02T03:04:05Z","ingress":{"producer":"p","replies":{"":1}}}`),
		[]byte(`{"id":"x","at":"2026-01-02T03:04:06Z","ingress":{"producer":"p","replies":{"":2}}}`))
	f.Add([]byte(`{"id":"x","of":9000000000000000000,"writer":{"partitions":[9000000000000000000]}}`), []byte(`{"id":"x","up":-1}`))
	f.Add([]byte(`{"id":"w","up":1,"of":1024,"writer":{"partitions":null,"hottest":[{"key":"k","moved":1e308},{"key":"k","moved":1e308}],"backlog":{"batches":18446744073709551615}}}`),
		[]byte(`{"id":"w","up":2,"writer":{"increments":18446744073709551615,"rows":1,"freshness":[18446744073709551615,1]}}`))
	f.Add([]byte(`{"id":"i","up":1,"ingress":{"producer":"p","published":[{"partition":3,"accepted":9,"seq":10,"increments":18446744073709551615}]}}`),
		[]byte(`{"id":"w","up":1,"writer":{"partitions":[3],"lost":9,"folded":[{"producer":"p","partition":3,"watermark":7,"batches":18446744073709551615,"increments":1}]}}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := admin.NewDeployment()
		for _, data := range [][]byte{first, second, second, first} {
			if r, err := piccolo.DecodeReport(data); err == nil {
				d.Take(r)
			}
			d.Tick(time.Now().Add(5 * time.Second)) // when it says who has no writer
		}
		s, _ := d.Now()
		if s.Processes == nil || s.Hottest == nil || s.Unserved == nil || len(s.Unserved) > piccolo.MaxPartitions {
			t.Errorf("%+v", s)
		}
		for _, p := range s.Processes {
			if p.Parts == nil {
				t.Errorf("%+v", p)
			}
		}
		if _, err := json.Marshal(s); err != nil {
			t.Error(err)
		}
	})
}
