package client_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/piccolo-counter/piccolo/client"
)

// A refusal is certain where it is the service's own, or a proxy's that did not
// pass the request on. What else a proxy answers leaves it open, in the first
// try as in the last: whoever adds again then counts twice.
func TestUnsure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status      int
		own, unsure bool
	}{
		{400, true, false}, {413, true, false}, {422, true, false}, {503, true, false},
		{400, false, false}, {401, false, false}, {403, false, false}, {404, false, false}, {411, false, false}, {413, false, false},
		{429, false, false}, {431, false, false},
		{408, false, true}, {499, false, true}, {500, false, true}, {502, false, true}, {503, false, true}, {504, false, true},
		{520, false, true}, {522, false, true}, {524, false, true},
	} {
		t.Run(fmt.Sprintf("%d, own %t", c.status, c.own), func(t *testing.T) {
			t.Parallel()
			for _, retry := range []time.Duration{0, 20 * time.Millisecond} {
				s, _ := server(t, refuse(c.status, c.own))
				api := connect(t, s, client.WithRetry(retry))
				_, with := api.Increment(t.Context(), "k", 1)
				_, without := api.IncrementAll(t.Context(), []client.Increment{{Key: "k", Value: 1}}, client.WithoutIdempotencyKey())
				_, set := api.Set(t.Context(), "k", 1)
				for call, err := range map[string]error{"with a key": with, "without": without, "a set": set} {
					var p *client.Problem
					if !errors.As(err, &p) || p.Status != c.status || p.Unsure != c.unsure {
						t.Errorf("%s, tried for %s: %+v; want unsure %t", call, retry, err, c.unsure)
					}
				}
			}
			s, _ := server(t, cut, refuse(c.status, c.own))
			var p *client.Problem
			if _, err := connect(t, s, client.WithRetry(200*time.Millisecond)).Increment(t.Context(), "k", 1); !errors.As(err, &p) || !p.Unsure {
				t.Errorf("%v after a lost reply is certain", err)
			}
		})
	}
}

// A refusal after a try that never left is as certain as it is by itself.
func TestSureAfterAServerThatWasAway(t *testing.T) {
	t.Parallel()
	s, _ := server(t, refuse(400, true))
	gone, _ := server(t, ok)
	gone.Close()
	tries := 0
	c := connect(t, s, client.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if tries++; tries == 1 {
			r = r.Clone(r.Context())
			r.URL.Host = gone.Listener.Addr().String()
		}
		return http.DefaultTransport.RoundTrip(r)
	})}))
	var p *client.Problem
	if _, err := c.Increment(t.Context(), "k", 1); !errors.As(err, &p) || p.Unsure || tries != 2 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

// Where the last try was refused for its key, an earlier one that had no good
// reply may count all the same, and what it said is not the reply to the call.
func TestConflictAfterAnotherTry(t *testing.T) {
	t.Parallel()
	s, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"ack":"memory","receipt":"p.0.1","counted":1}`)
	}, refuse(http.StatusUnprocessableEntity, true))
	counted, err := connect(t, s).IncrementAll(t.Context(), []client.Increment{{Key: "k", Value: 1}}, client.WithAck(client.Applied))
	var p *client.Problem
	if !errors.Is(err, client.ErrConflict) || !errors.As(err, &p) || !p.Unsure || counted != (client.Counted{}) {
		t.Errorf("%+v, %v", counted, err)
	}
	s, _ = server(t, refuse(http.StatusUnprocessableEntity, false))
	if _, err := connect(t, s).Increment(t.Context(), "k", 1); errors.Is(err, client.ErrConflict) {
		t.Errorf("of a proxy: %v", err)
	}
}
