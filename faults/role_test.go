package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// role is what a service's process is.
type role string

const (
	allInOne    role = "all-in-one"
	ingressOnly role = "ingress"
	writerOnly  role = "writer"
	natsServer  role = "nats-server"
)

func newIngress(t testing.TB, server string, args ...string) *service {
	s := newService(t, args...)
	s.role, s.server = ingressOnly, server
	return s
}

func newWriter(t testing.TB, server string, args ...string) *service {
	s := newService(t, args...)
	s.role, s.server = writerOnly, server
	return s
}

// newServer makes a NATS server of its own, of the version that is embedded.
func newServer(t testing.TB) *service {
	s := newService(t)
	s.role = natsServer
	s.args = []string{"--config", filepath.Join(t.TempDir(), "nats.conf")}
	s.configure(true)
	return s
}

// configure writes the file that a NATS server of its own starts with.
func (s *service) configure(synced bool) {
	s.t.Helper()
	sync := ""
	if synced {
		sync = ", sync_interval: always"
	}
	config := fmt.Sprintf("listen: %q\nhttp: %q\nserver_name: alone\njetstream { store_dir: %q%s }\n",
		s.nats, s.admin, s.jetstream(), sync)
	if err := os.WriteFile(s.args[1], []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// command is what a process of the service is started with.
func (s *service) command() []string {
	s.t.Helper()
	args := []string{s.binary, string(s.role), "--data", s.data, "--admin", s.admin}
	switch s.role {
	case allInOne:
		args = append(args, "--db", s.database, "--nats-listen", s.nats, "--listen", s.api)
	case ingressOnly:
		args = append(args, "--nats", "nats://"+s.server, "--listen", s.api)
	case writerOnly:
		args = append(args, "--nats", "nats://"+s.server, "--db", s.database)
	case natsServer:
		path, err := buildServer()
		if err != nil {
			s.t.Fatal(err)
		}
		args = []string{path}
	}
	return append(args, s.args...)
}

// buildServer builds the NATS server, once.
var buildServer = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "nats-server")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-server: %w\n%s", err, out)
	}
	return path, nil
})

// parts are the processes of a service that is not all in one. An ingress and a
// writer reach the server at addresses that a test may put something before.
type parts struct {
	nats, ingress, writer *service
}

// newParts makes the three, with a stream.
func newParts(t testing.TB, partitions int, ingressArgs ...string) *parts {
	t.Helper()
	p := &parts{nats: newServer(t)}
	p.join([]string{fmt.Sprintf("--partitions=%d", partitions)}, ingressArgs...)
	return p
}

// join starts the NATS server, and makes the stream and the others.
func (p *parts) join(streamArgs []string, ingressArgs ...string) {
	t := p.nats.t
	t.Helper()
	p.nats.start()
	p.init(streamArgs...)
	p.writer = newWriter(t, p.nats.nats)
	p.ingress = newIngress(t, p.nats.nats, ingressArgs...)
}

// init makes the stream.
func (p *parts) init(args ...string) {
	p.nats.t.Helper()
	p.must(append([]string{"stream", "init"}, args...)...)
}

// finish has everything that was counted come to rest in the database, stops
// the processes, and holds the database against the book.
func (p *parts) finish(b *book) {
	p.nats.t.Helper()
	p.quiet()
	p.writer.zero("piccolo_lost_batches_total", "piccolo_rejected_messages_total")
	p.ingress.stop()
	p.writer.stop()
	p.nats.kill()
	b.check(p.nats.t, p.writer.contents())
}

// quiet waits until everything that was counted is in the database.
func (p *parts) quiet() {
	p.nats.t.Helper()
	p.stored()
	_, js := p.nats.connect()
	p.writer.until("the backlog is 0", func() bool { return p.nats.holds(js) == 0 })
}

// folded waits until the writer has been given everything that was counted, and
// has acked it. A message that the server cannot read may stay in the stream.
func (p *parts) folded() {
	p.nats.t.Helper()
	p.stored()
	_, js := p.nats.connect()
	p.writer.until("all is folded", func() bool {
		c, err := js.Consumer(p.nats.t.Context(), "PICCOLO", "writer-0")
		return err == nil && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	})
}

// stored waits until everything that was counted is in the stream.
func (p *parts) stored() {
	p.nats.t.Helper()
	p.ingress.until("all is stored", func() bool {
		accepted, err1 := p.ingress.scrape("piccolo_accepted_increments_total")
		published, err2 := p.ingress.scrape("piccolo_published_increments_total")
		return err1 == nil && err2 == nil && published >= accepted && len(p.ingress.spooled()) == 0
	})
}
