package ingress_test

import (
	"fmt"
	"net/http"
	"testing"
)

// A header that is empty is there all the same, behind however many others: a
// client whose Idempotency-Key was lost must not believe it has one.
func TestEmptyIdempotencyKeyIsSeen(t *testing.T) {
	t.Parallel()
	for others := range 8 {
		t.Run(fmt.Sprint(others), func(t *testing.T) {
			t.Parallel()
			d := open(t) // whose memory for headers is fresh
			header := http.Header{"Idempotency-Key": {""}}
			for i := range others {
				header.Set(fmt.Sprintf("A-%d", i), "some")
			}
			if p := d.refused(d.send(request{contentType: form, body: "key=foo&value=10", header: header}), 400); p.Field != "Idempotency-Key" {
				t.Errorf("%+v", p)
			}
		})
	}
}
