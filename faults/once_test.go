package faults_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// ingress, writer and NATS server are killed at random moments, over and over,
// while clients send each increment, under a key of its own, again and again to
// one of two ingresses or the other until it is acknowledged as stored. Then
// nothing is left in doubt: every value is what was sent, to the increment.
func TestKillRetried(t *testing.T) {
	t.Parallel()
	p := newParts(t, 2, "--ack-timeout=300ms")
	p.writer.start()
	p.ingress.start()
	other := newIngress(t, p.nats.nats, "--ack-timeout=300ms")
	other.start()

	const clients, keys = 6, 5
	sent := make([][keys]int64, clients) // by client, acknowledged
	var acknowledged, again sync.Map     // by client: how many
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var workers sync.WaitGroup
	for c := range clients {
		workers.Go(func() {
			doors := []*service{p.ingress, other}
			http := &http.Client{Transport: &http.Transport{}, Timeout: timeout}
			defer http.CloseIdleConnections()
			done, repeats := 0, 0
			for ; ctx.Err() == nil; done++ {
				key, value := rand.IntN(keys), anyValue()
				for try := 0; !stored(t, http, doors[rand.IntN(2)], fmt.Sprintf("client-%d-%d", c, done), key, value); try++ {
					repeats++
					time.Sleep(5 * time.Millisecond)
				}
				sent[c][key] += value
			}
			acknowledged.Store(c, done)
			again.Store(c, repeats)
		})
	}
	f := measure(t, 1, "ingress, writer and nats-server killed in turn, clients that send again under an Idempotency-Key", "PICCOLO_KILLS")
	victims := []*service{p.ingress, p.writer, p.nats}
	for i := range kills(t) {
		f.Times++
		victim := victims[i%len(victims)]
		anyMoment()
		victim.kill()
		victim.start()
	}
	anyMoment()
	stop()
	workers.Wait()
	p.quiet()
	other.stop()
	p.quiet()
	p.ingress.stop()
	p.writer.stop()
	p.nats.kill()

	db := p.writer.contents()
	db.check(t)
	for key := range keys {
		want := int64(0)
		for c := range clients {
			want += sent[c][key]
		}
		if got := db.numbers[fmt.Sprint("key-", key)]; got != want {
			t.Errorf("key-%d is %d, and %d was sent", key, got, want)
			f.Wrong++
		}
	}
	total := func(m *sync.Map) (n int) {
		m.Range(func(_, v any) bool { n += v.(int); return true })
		return n
	}
	f.Acknowledged = total(&acknowledged)
	f.Lost, f.Doubled = max(0, f.Acknowledged-db.increments), max(0, db.increments-f.Acknowledged)
	if total(&again) == 0 {
		t.Error("nothing had to be sent again: the faults met nobody")
	}
	t.Logf("%d increments, sent again %d times, %d in the ledger", total(&acknowledged), total(&again), db.increments)
}

// stored sends an increment and says whether it is stored for sure.
func stored(t *testing.T, client *http.Client, s *service, idempotency string, key int, value int64) bool {
	form := url.Values{"key": {fmt.Sprint("key-", key)}, "value": {fmt.Sprint(value)}}.Encode()
	r, err := http.NewRequest(http.MethodPost, "http://"+s.api+"/increment", strings.NewReader(form))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Idempotency-Key", idempotency)
	if rand.IntN(3) == 0 {
		r.Header.Set("Piccolo-Ack", "applied")
	}
	reply, err := client.Do(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, reply.Body)
	_ = reply.Body.Close()
	switch reply.StatusCode {
	case http.StatusOK:
		return err == nil
	case http.StatusAccepted, http.StatusServiceUnavailable:
		return false
	}
	t.Errorf("%s of %s", reply.Status, idempotency)
	return true
}
