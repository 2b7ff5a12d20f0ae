package piccolo_test

import (
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo"
)

// What is no report of a process is refused; texts that are too long are cut.
func TestDecodeReport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, says string }{
		{`{"id":"x","role":"writer","of":1024,"writer":{"partitions":[0,1023]}}`, ""},
		{`{"id":"x","up":5,"ingress":{"producer":"p","published":[{"partition":1023}]}}`, ""},
		{`what is this`, "invalid character"},
		{`{}`, `producer ""`},
		{`{"id":"x.y"}`, "want 1 to 64 letters"},
		{`{"id":"x","of":9000000000000000000}`, "9000000000000000000 partitions"},
		{`{"id":"x","of":-1}`, "-1 partitions"},
		{`{"id":"x","up":-1}`, "up for -1ns"},
		{`{"id":"x","ingress":{}}`, `producer ""`},
		{`{"id":"x","ingress":{"producer":"p","published":[{"partition":1024}]}}`, "partition 1024"},
		{`{"id":"x","writer":{"partitions":[3,-1]}}`, "partition -1"},
		{`{"id":"x","writer":{"folded":[{"partition":1024}]}}`, "partition 1024"},
		{`{"id":"x","error":"` + strings.Repeat("e", 2<<20) + `"}`, "more than 1048576"},
	} {
		r, err := piccolo.DecodeReport([]byte(c.data))
		if c.says == "" && (err != nil || r.ID != "x") || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%.100s: %+v, %v", c.data, r, err)
		}
	}
	r, err := piccolo.DecodeReport([]byte(`{"id":"x","error":"` + strings.Repeat("é", 4000) + `"}`))
	if err != nil || len(r.Error) != 4096 || r.Error != strings.Repeat("é", 2048) {
		t.Errorf("%d bytes, %v", len(r.Error), err)
	}
}
