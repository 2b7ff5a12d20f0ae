package ingress

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// When a key is new again the writer decides. An ingress that remembered it for
// longer would say of increments that count nothing that they are stored.
func TestRecentIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recent
		claim := piccolo.Claim{Token: piccolo.NewToken("order-4711")}
		stored := make(chan struct{})
		r.keep(claim, []carrier{{stored: stored}})
		time.Sleep(24 * time.Hour)
		if r.find(claim.Token) == nil {
			t.Error("what waits for the stream is forgotten, and a repeat would take room beside it")
		}
		close(stored)
		if r.find(claim.Token) != nil {
			t.Error("after a day the key still stands for what was counted under it")
		}
		r.keep(claim, []carrier{{stored: stored}})
		time.Sleep(piccolo.MinTokenTTL - time.Second)
		if r.find(claim.Token) == nil {
			t.Error("a repeat that comes soon is not known")
		}
	})
}
