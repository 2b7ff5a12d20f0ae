package machine

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load counts 1 for a key, again and again, and keeps the outcome of each.
type load struct {
	m       *machine
	key     string
	acked   atomic.Int64                         // 2xx
	refused atomic.Int64                         // a clear no: nothing was counted
	unknown atomic.Int64                         // no reply, or half of one
	once    struct{ unknown, refused sync.Once } // the first of each is logged

	stop    chan struct{}
	clients sync.WaitGroup
}

// loaders is how many clients a load has.
const loaders = 6

// load starts its clients; every second one opens a connection for each of its
// requests.
func (m *machine) load(key string) *load {
	l := &load{m: m, key: key, stop: make(chan struct{})}
	for i := range loaders {
		client := &http.Client{Timeout: m.patience, Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
		l.clients.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-l.stop:
					return
				default:
					l.count(client)
				}
			}
		})
	}
	m.t.Cleanup(l.end)
	l.reach(1)
	return l
}

func (l *load) count(client *http.Client) {
	var said []byte
	res, err := client.Post(l.m.api+"/increment", "application/x-www-form-urlencoded", strings.NewReader("key="+l.key+"&value=1"))
	if err == nil {
		said, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	switch {
	case err != nil:
		l.unknown.Add(1)
		l.once.unknown.Do(func() { l.m.t.Logf("the first without a reply: %v", err) })
		time.Sleep(50 * time.Millisecond)
	case res.StatusCode/100 == 2:
		l.acked.Add(1)
	default:
		l.refused.Add(1)
		l.once.refused.Do(func() { l.m.t.Logf("the first told to come later: %s: %s", res.Status, said) })
	}
}

// reach waits until more have been acknowledged.
func (l *load) reach(more int64) {
	l.m.t.Helper()
	want := l.acked.Load() + more
	for end := time.Now().Add(l.m.patience); l.acked.Load() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			l.m.t.Fatalf("%s, want %d acknowledged", l, want)
		}
	}
}

// end stops the load and returns when the last reply has come.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.clients.Wait()
}

// smooth checks what a number of stops, and starts, have done to a load that has
// ended: every request had a reply, and was counted but for at most one a client
// and stop, which was told on a connection that was open already to come later.
func (l *load) smooth(stops int64) {
	l.m.t.Helper()
	if l.unknown.Load() > 0 || l.refused.Load() > stops*loaders {
		l.m.t.Errorf("%s, at %d stops", l, stops)
	}
}

func (l *load) String() string {
	return fmt.Sprintf("%s: %d acknowledged, %d told to come later, %d without a reply", l.key, l.acked.Load(), l.refused.Load(), l.unknown.Load())
}
