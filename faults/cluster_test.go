package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piccolo-counter/piccolo/internal/port"
)

// cluster is a deployment: three NATS servers that keep three copies of the
// stream, ingresses, and writers that each have some partitions and a database
// of their own. Every process is a user with the permissions of its role and no
// more.
type cluster struct {
	t         testing.TB
	dir       string
	servers   []*service
	ingresses []*service
	writers   []*service
	standby   *service // for the first writer
	remote    *network // where the last server is; nil where there is but one network
	js        jetstream.JetStream
	nc        *nats.Conn
}

const clusterPartitions = 4

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir()}
	auth := exec.Command(binary, "auth", "--dir", filepath.Join(c.dir, "nkeys"))
	users, err := auth.Output()
	if err != nil {
		t.Fatalf("auth: %v", err)
	}
	home := "127.0.0.1"
	if c.remote = newNetwork(t); c.remote != nil {
		home = c.remote.home
	}
	var hosts, routes, ports []string
	for i := range 3 {
		host := home
		if i == 2 && c.remote != nil {
			host = c.remote.away
		}
		hosts = append(hosts, host)
		routes = append(routes, host+":"+portOf(port.Free(t)))
		ports = append(ports, portOf(port.Free(t)))
	}
	for i, host := range hosts {
		s := newService(t)
		s.role = natsServer
		s.nats = host + ":" + ports[i]
		s.admin = host + ":" + portOf(port.Free(t))
		config := fmt.Sprintf(`server_name: n%d
listen: %q
http: %q
jetstream { store_dir: %q, sync_interval: always }
cluster { name: piccolo, listen: %q, routes: ["nats://%s"] }
%s`, i, s.nats, s.admin, s.jetstream(), routes[i], strings.Join(routes, `", "nats://`), users)
		s.args = []string{"--config", filepath.Join(c.dir, fmt.Sprintf("n%d.conf", i))}
		if err := os.WriteFile(s.args[1], []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 2 && c.remote != nil {
			s.wrap = c.remote.wrap()
		}
		s.launch()
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		c.until("the server is up", s.ready)
	}
	c.until("the stream is made", func() bool { // once the servers have elected their leader
		out, err := exec.Command(binary, "stream", "init", "--nats", c.url(), "--nats-nkey", c.seed("admin"),
			"--replicas=3", fmt.Sprintf("--partitions=%d", clusterPartitions)).CombinedOutput()
		if err != nil {
			t.Logf("stream init: %s", out)
		}
		return err == nil
	})
	c.connect()
	for range 3 {
		c.ingresses = append(c.ingresses, newIngress(t, c.list(), "--nats-nkey="+c.seed("ingress")))
	}
	for _, partitions := range []string{"0-1", "2,3"} {
		c.writers = append(c.writers, newWriter(t, c.list(), "--nats-nkey="+c.seed("writer"), "--partition="+partitions))
	}
	first := c.writers[0]
	c.standby = newWriter(t, c.list(), "--nats-nkey="+c.seed("writer"), "--partition=0-1", "--standby")
	c.standby.database = first.database
	for _, s := range append(c.writers, c.ingresses...) {
		s.start()
	}
	c.standby.launch()
	c.until("the standby waits", func() bool { return c.standby.logged("standing by") })
	return c
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func (c *cluster) seed(role string) string { return filepath.Join(c.dir, "nkeys", role+".nk") }

// list is where the servers are, as it follows nats://.
func (c *cluster) list() string {
	var addrs []string
	for _, s := range c.servers {
		addrs = append(addrs, s.nats)
	}
	return strings.Join(addrs, ",nats://")
}

func (c *cluster) url() string { return "nats://" + c.list() }

// connect connects the test as the administrator.
func (c *cluster) connect() {
	c.t.Helper()
	seed, err := nats.NkeyOptionFromSeed(c.seed("admin"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.nc, err = nats.Connect(c.url(), seed, nats.CustomInboxPrefix("_INBOX.admin"), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(c.nc.Close)
	if c.js, err = jetstream.New(c.nc); err != nil {
		c.t.Fatal(err)
	}
}

// leader is the server that leads the stream, nil for none.
func (c *cluster) leader() *service {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	stream, err := c.js.Stream(ctx, "PICCOLO")
	if err != nil || stream.CachedInfo().Cluster == nil {
		return nil
	}
	for i, s := range c.servers {
		if stream.CachedInfo().Cluster.Leader == fmt.Sprintf("n%d", i) {
			return s
		}
	}
	return nil
}

// lead has a server lead the stream.
func (c *cluster) lead(i int) {
	c.t.Helper()
	c.until(fmt.Sprintf("n%d leads the stream", i), func() bool {
		if c.leader() == c.servers[i] {
			return true
		}
		request := fmt.Sprintf(`{"placement":{"preferred":"n%d"}}`, i)
		_, _ = c.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN.PICCOLO", []byte(request), time.Second)
		time.Sleep(100 * time.Millisecond)
		return false
	})
}

// whole waits until all servers have all of the stream.
func (c *cluster) whole() {
	c.t.Helper()
	c.until("three servers have the stream", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		stream, err := c.js.Stream(ctx, "PICCOLO")
		if err != nil || stream.CachedInfo().Cluster == nil || stream.CachedInfo().Cluster.Leader == "" {
			return false
		}
		current := 1
		for _, r := range stream.CachedInfo().Cluster.Replicas {
			if r.Current && !r.Offline {
				current++
			}
		}
		return current == 3
	})
}

// until polls. An election takes ten seconds on a machine that is idle.
func (c *cluster) until(what string, is func() bool) {
	c.t.Helper()
	const patience = 90 * time.Second
	for deadline := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited for %s in vain, for %s", what, patience)
		}
	}
}

// crowd is the clients of every ingress, and how long no increment at all was
// acknowledged.
type crowd struct {
	c       *cluster
	loads   []*load
	tries   atomic.Int64
	stopped chan struct{}
	done    chan struct{}
	still   time.Duration // without an acknowledgement for more than a moment
	longest time.Duration
}

func (c *cluster) crowd(b *book) *crowd {
	c.t.Helper()
	w := &crowd{c: c, stopped: make(chan struct{}), done: make(chan struct{})}
	for _, s := range c.ingresses {
		w.loads = append(w.loads, &load{client: newClient(s, b), stopped: make(chan struct{})})
	}
	for i, l := range w.loads {
		for worker := range 3 {
			l.workers.Go(func() { w.work(i, fmt.Sprintf("worker-%d-%d", i, worker)) })
		}
	}
	go func() {
		defer close(w.done)
		last, at := w.counted(), time.Now()
		for tick := time.Tick(20 * time.Millisecond); ; {
			select {
			case <-w.stopped:
				return
			case now := <-tick:
				if n := w.counted(); n > last {
					if gap := now.Sub(at); gap > 200*time.Millisecond {
						w.still += gap
						w.longest = max(w.longest, gap)
					}
					last, at = n, now
				}
			}
		}
	}()
	return w
}

// work counts without a break, each increment under an Idempotency-Key, and
// again with another ingress until one says that it is stored: so each counts
// once, whatever became of the tries before.
func (w *crowd) work(at int, name string) {
	for i := 0; ; i++ {
		select {
		case <-w.loads[at].stopped:
			return
		default:
		}
		key, value, token := fmt.Sprintf("key-%d", rand.IntN(400)), anyValue(), fmt.Sprintf("%s-%d", name, i)
		for try := at; ; try = (try + 1) % len(w.loads) {
			w.tries.Add(1)
			if w.loads[try].client.once(key, value, token) {
				w.loads[try].client.book.sure(key, value)
				w.loads[try].replied[counted].Add(1)
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// once sends an increment under an Idempotency-Key, and says whether it is
// stored.
func (c *client) once(key string, value int64, token string) bool {
	form := url.Values{"key": {key}, "value": {strconv.FormatInt(value, 10)}}.Encode()
	r, err := http.NewRequest(http.MethodPost, c.url, strings.NewReader(form))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Idempotency-Key", token)
	reply, err := c.http.Do(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, reply.Body)
	_ = reply.Body.Close()
	switch reply.StatusCode {
	case http.StatusOK:
		return err == nil
	case http.StatusAccepted, http.StatusServiceUnavailable:
	default:
		c.t.Errorf("status %s", reply.Status)
	}
	return false
}

func (w *crowd) counted() (n int64) {
	for _, l := range w.loads {
		n += l.replied[counted].Load()
	}
	return n
}

// goesOn waits until every ingress but those has acknowledged more.
func (w *crowd) goesOn(n int, but ...*service) {
	w.c.t.Helper()
	for i, l := range w.loads {
		away := false
		for _, s := range but {
			away = away || s == w.c.ingresses[i]
		}
		if !away {
			from := l.replied[counted].Load()
			w.c.until("increments are acknowledged", func() bool { return l.replied[counted].Load() >= from+int64(n) })
		}
	}
}

func (w *crowd) stop() {
	for _, l := range w.loads {
		l.stop()
	}
	close(w.stopped)
	<-w.done
}

// contents are those of all databases together. A key is in one of them.
func (c *cluster) contents() *contents {
	c.t.Helper()
	var all []*contents
	for _, w := range c.writers {
		all = append(all, w.contents())
	}
	return merge(c.t, all...)
}

// merge is what several databases hold together. A key is in one of them.
func merge(t testing.TB, databases ...*contents) *contents {
	t.Helper()
	all := &contents{numbers: make(map[string]int64), broken: "ok"}
	for _, db := range databases {
		for key, value := range db.numbers {
			if _, twice := all.numbers[key]; twice {
				t.Errorf("key %s is in two databases", key)
			}
			all.numbers[key] = value
		}
		all.increments += db.increments
		all.gaps = append(all.gaps, db.gaps...)
		all.held, all.folded, all.rejected = all.held+db.held, all.folded+db.folded, all.rejected+db.rejected
		if db.broken != "ok" {
			all.broken = db.broken
		}
	}
	return all
}

// A whole deployment under load, while everything that it is made of fails, one
// after the other: the server that leads the stream is killed, a server is cut
// off from the network while it leads, an ingress and a writer are killed, and a
// standby takes over. Each client goes on with an increment, at another ingress
// and under the same Idempotency-Key, until it is stored: every one counts once.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	b := newBook()
	w := c.crowd(b)
	w.goesOn(20)
	kills, cuts, duplicates := 0, 0, 0.0
	f := measure(t, beyond, "a cluster, each of its processes killed, its leader cut off")
	tally := func(s *service) {
		n, err := s.scrape("piccolo_duplicate_batches_total")
		if err == nil {
			duplicates += n
		}
	}

	for range 2 { // the leader dies
		var leader *service
		c.until("the stream has a leader", func() bool { leader = c.leader(); return leader != nil })
		leader.kill()
		kills++
		w.goesOn(20)
		leader.launch()
		c.until("the server is back", leader.ready)
		c.whole()
	}

	if c.remote != nil { // the leader is cut off
		c.lead(2)
		c.remote.cut()
		cuts++
		w.goesOn(20)
		c.remote.heal()
		c.whole()
		w.goesOn(20)
	}

	dead := c.ingresses[0] // an ingress dies
	dead.kill()
	kills++
	b.crashed()
	w.goesOn(20, dead)
	dead.start()
	w.goesOn(20)

	first := c.writers[0] // a writer dies, another takes its place
	tally(first)
	first.kill()
	kills++
	w.goesOn(20)
	c.until("the standby works", c.standby.ready)
	if !c.standby.logged("taking over") {
		t.Error("the standby does not say that it takes over")
	}
	tally(c.writers[1])
	c.writers[1].kill()
	kills++
	c.writers[1].start()
	w.goesOn(20)

	w.stop()
	for _, s := range c.ingresses {
		s.stop() // which stores what it has
	}
	b.settled()
	sure, _, _ := b.totals()
	var batches uint64 // that were stored, of which each has a StreamSeq
	c.until("all is folded", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		stream, err := c.js.Stream(ctx, "PICCOLO")
		if err == nil {
			batches = stream.CachedInfo().State.LastSeq
		}
		return err == nil && stream.CachedInfo().State.Msgs == 0 && c.contents().increments >= sure
	})
	for _, s := range c.ingresses {
		s.start()
	}
	c.readEverywhere()
	tally(c.standby)
	tally(c.writers[1])
	for _, s := range []*service{c.standby, c.writers[1]} {
		s.zero("piccolo_lost_batches_total", "piccolo_rejected_messages_total")
		s.stop()
	}
	db := c.contents()
	f.Times = kills + cuts
	f.check(b, db)
	if db.increments != sure {
		t.Errorf("%d increments folded, want exactly the %d that were acknowledged", db.increments, sure)
	}
	t.Logf("%d requests for %d increments in %d batches; %d kills, %d cuts; %.0f batches came twice and were skipped; %.1f s in all without an acknowledgement, %.1f s the longest",
		w.tries.Load(), sure, batches, kills, cuts, duplicates, w.still.Seconds(), w.longest.Seconds())
}

// readEverywhere reads keys of every partition through every ingress.
func (c *cluster) readEverywhere() {
	c.t.Helper()
	read := 0
	for key, want := range c.contents().numbers {
		if read++; read > 40 {
			break
		}
		for _, s := range c.ingresses {
			if got, err := s.number(key); err != nil || got != want {
				c.t.Errorf("%s says that %s is %d, %v; the database has %d", s.api, key, got, err, want)
			}
		}
	}
}

// number reads a key's value through the API.
func (s *service) number(key string) (int64, error) {
	reply, err := http.Get("http://" + s.api + "/v1/numbers/" + url.PathEscape(key))
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return 0, errors.New(reply.Status)
	}
	var n struct{ Value int64 }
	err = json.NewDecoder(reply.Body).Decode(&n)
	return n.Value, err
}
