package client_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/client"
)

// What is read says how fresh it is, and whether there is more.
func TestReadings(t *testing.T) {
	t.Parallel()
	s, _ := server(t,
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"key":"k","value":7,"value_text":"7","freshness_ms":1.5}`)
		},
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"numbers":[{"key":"k","value":7}],"more":true,"freshness_ms":250}`)
		})
	c := connect(t, s)
	if n, err := c.Get(t.Context(), "k"); err != nil || n != (client.Reading{Number: client.Number{Key: "k", Value: 7}, Freshness: 1500 * time.Microsecond}) {
		t.Errorf("%+v, %v", n, err)
	}
	if top, err := c.Top(t.Context(), "", 1000); err != nil || !top.More || len(top.Numbers) != 1 || top.Freshness != 250*time.Millisecond {
		t.Errorf("%+v, %v", top, err)
	}
}
