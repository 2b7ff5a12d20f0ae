package faults_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// Each client counts, sets and removes a key of its own through two ingresses,
// one request after the reply to the other, while the writer is killed over and
// over: the key ends as if there had been one ingress and no fault.
func TestSetsThroughTwoIngresses(t *testing.T) {
	t.Parallel()
	p := newParts(t, 2)
	p.writer.start()
	p.ingress.start()
	other := newIngress(t, p.nats.nats)
	other.start()

	const clients = 6
	totals := make([]int64, clients)
	var acknowledged atomic.Int64 // requests
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for c := range clients {
		workers.Go(func() {
			doors := []*service{p.ingress, other}
			client := &http.Client{Transport: &http.Transport{}, Timeout: timeout}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				value := rand.Int64N(1 << 40)
				method, target := http.MethodPost, fmt.Sprintf("/increment?key=key-%d&value=%d", c, value)
				switch rand.IntN(6) {
				case 0:
					method, target = http.MethodPut, fmt.Sprintf("/v1/numbers/key-%d?value=%d", c, value)
					totals[c] = value
				case 1:
					method, target = http.MethodDelete, fmt.Sprintf("/v1/numbers/key-%d", c)
					totals[c] = 0
				default:
					totals[c] += value
				}
				r, err := http.NewRequest(method, "http://"+doors[rand.IntN(2)].api+target, nil)
				if err != nil {
					panic(err)
				}
				reply, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, reply.Body)
				_ = reply.Body.Close()
				if reply.StatusCode != http.StatusOK {
					t.Errorf("%s %s: %s", method, target, reply.Status)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	f := measure(t, beyond, "increments, PUT and DELETE through two ingresses, the writer killed", "PICCOLO_KILLS")
	for range max(5, kills(t)/2) {
		f.Times++
		anyMoment()
		p.writer.kill()
		p.writer.start()
	}
	anyMoment()
	close(stop)
	workers.Wait()
	p.quiet()
	other.stop()
	p.ingress.stop()
	p.writer.stop()
	p.nats.kill()
	db := p.writer.contents()
	db.check(t)
	for c, want := range totals {
		if got := db.numbers[fmt.Sprint("key-", c)]; got != want {
			t.Errorf("key-%d is %d, want %d", c, got, want)
			f.Wrong++
		}
	}
	f.Acknowledged = int(acknowledged.Load())
	t.Logf("%d increments besides the sets", db.increments)
}
