package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/piccolo-counter/piccolo/sqlite"
)

// demoCmd runs an all-in-one in a directory that it throws away, with some
// clients, until Ctrl-C; then it shows that what the clients were told is what
// the database holds.
type demoCmd struct {
	Rate int           `help:"Requests a second." default:"300" placeholder:"N"`
	For  time.Duration `help:"Stop by itself after this time; 0 goes on until Ctrl-C." default:"0s" placeholder:"D"`
	Keep string        `help:"Keep the data, in this new directory." type:"path" default:"" placeholder:"DIR"`
}

// Validate implements kong's interface.
func (c *demoCmd) Validate() error {
	if c.Rate < 1 || c.Rate > 100_000 {
		return errors.New("--rate must be between 1 and 100000")
	}
	return nil
}

func (c *demoCmd) Run(log *slog.Logger, out output) (err error) {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	dir := c.Keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "piccolo-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err := newDir(dir); err != nil {
		return err
	}
	api, admin, nats, err := demoAddresses()
	if err != nil {
		return err
	}
	service, err := startService(dir, api, admin, nats, out.stderr)
	if err != nil {
		return err
	}
	defer service.kill() // does nothing when it has ended
	if err := service.ready(ctx, admin); err != nil {
		return err
	}
	if c.For > 0 {
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	_, _ = fmt.Fprintf(out.stdout, `
  A piccolo to throw away, with %d requests a second.

    look inside    http://%s/
    in a terminal  piccolo top --nats nats://%s
    count, too     curl -d 'key=you&value=1' %s/increment

  Ctrl-C ends it, and shows that the sums match.

`, c.Rate, admin, nats, api)

	clients := newDemoClients("http://" + api)
	clients.run(ctx, c.Rate)
	_, _ = fmt.Fprintf(out.stdout, "\n  Stopping: what was counted goes into the database.\n")
	if err := service.stop(); err != nil {
		return fmt.Errorf("the service ended with %w: its log is above", err)
	}
	return clients.prove(dir, log, out)
}

// newDir refuses a directory that has something in it: what a demo counts would
// be among the numbers of somebody's service, and nothing tells them apart.
func newDir(dir string) error {
	there, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("--keep: %w: name a directory that is not there yet", err)
	case len(there) > 0:
		return fmt.Errorf("--keep: %s is not empty, and what the demo counts would be mixed with what is there: name a directory that is not there yet", dir)
	}
	return nil
}

// demoAddresses are those that piccolo has by default, or, where they are taken,
// any.
func demoAddresses() (api, admin, nats string, err error) {
	for _, a := range []struct {
		addr *string
		port int
	}{{&api, 3333}, {&admin, 3334}, {&nats, 4222}} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", a.port))
		if err != nil {
			if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				return "", "", "", err
			}
		}
		*a.addr = l.Addr().String()
		defer l.Close() // so that no two are the same
	}
	return api, admin, nats, nil
}

// demoService is the all-in-one, in a process of its own, which Ctrl-C does not
// reach.
type demoService struct {
	cmd   *exec.Cmd
	ended chan error
}

func startService(dir, api, admin, nats string, log io.Writer) (*demoService, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "--log-level=warn", "all-in-one", "--data", dir, "--listen", api, "--admin", admin, "--nats-listen", nats)
	cmd.Args[0] = "piccolo"
	cmd.Env = withoutSettings(os.Environ())
	cmd.Stdout, cmd.Stderr = io.Discard, quietGreeting{log}
	cmd.SysProcAttr = demoProcess()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &demoService{cmd: cmd, ended: make(chan error, 1)}
	go func() { s.ended <- cmd.Wait() }()
	return s, nil
}

// withoutSettings leaves out what would make the demo anything but one.
func withoutSettings(env []string) (rest []string) {
	for _, e := range env {
		if !strings.HasPrefix(e, "PICCOLO_") && !strings.HasPrefix(e, "NOTIFY_SOCKET=") && !strings.HasPrefix(e, "LISTEN_") && !strings.HasPrefix(e, "OTEL_") {
			rest = append(rest, e)
		}
	}
	return rest
}

// quietGreeting leaves the service's greeting out of its log.
type quietGreeting struct{ io.Writer }

func (q quietGreeting) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "Piccolo is ready") {
		return len(b), nil
	}
	return q.Writer.Write(b)
}

// ready returns when the service says that it is.
func (s *demoService) ready(ctx context.Context, admin string) error {
	for {
		if h, err := askHealth(ctx, admin); err == nil && h.Ready() {
			return nil
		}
		select {
		case err := <-s.ended:
			return fmt.Errorf("the service did not start: %w", err)
		case <-ctx.Done():
			return errInterrupted
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *demoService) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-s.ended
}

func (s *demoService) kill() { _ = s.cmd.Process.Kill() }

// demoClients count, and keep the sum of what they were told counts.
type demoClients struct {
	api    string
	name   string // of this run, before each of its keys: whoever counts, too, counts others
	client *http.Client

	mu       sync.Mutex
	sums     map[string]int64 // by key, of replies that are 2xx
	counted  int
	refused  int
	unknown  int // replies that did not come
	unknowns map[string]bool
}

func newDemoClients(api string) *demoClients {
	return &demoClients{
		api: api, name: fmt.Sprintf("%04x", rand.Uint32N(1<<16)), sums: make(map[string]int64), unknowns: make(map[string]bool),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: demoConnections, MaxConnsPerHost: demoConnections}},
	}
}

const demoConnections = 32

// run counts at a rate until ctx ends, and returns when every reply is there.
func (c *demoClients) run(ctx context.Context, rate int) {
	const step = 20 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	defer c.client.CloseIdleConnections()
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.3, 4, 499)
	var wait sync.WaitGroup
	defer wait.Wait()
	slots := make(chan struct{}, demoConnections)
	due := 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due += float64(rate) * step.Seconds(); due >= 1; due-- {
			key := c.name + "/" + demoKey(zipf.Uint64())
			value := int64(random.IntN(20)) - 4
			ack := []string{"stored", "stored", "stored", "stored", "memory", "applied"}[random.IntN(6)]
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wait.Go(func() {
				c.count(key, value, ack)
				<-slots
			})
		}
	}
}

// demoKey names keys so that they look like something.
func demoKey(n uint64) string {
	subjects := []string{"views", "likes", "votes", "plays", "sales"}
	things := []string{"kiwi", "mango", "plum", "fig", "lime", "pear", "quince", "papaya", "guava", "date"}
	return fmt.Sprintf("%s/%s-%d", subjects[n%5], things[n/5%10], n)
}

func (c *demoClients) count(key string, value int64, ack string) {
	form := neturl.Values{"key": {key}, "value": {strconv.FormatInt(value, 10)}}
	res, err := c.client.Post(c.api+"/increment?ack="+ack, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.unknown++
		c.unknowns[key] = true
	case res.StatusCode/100 == 2:
		c.counted++
		c.sums[key] += value
	default:
		c.refused++
	}
}

// prove compares, key by key, what the clients were told with what the database
// holds, and follows the increments as piccolo verify does.
func (c *demoClients) prove(dir string, log *slog.Logger, out output) error {
	path := filepath.Join(dir, "numbers.db")
	reader, err := sqlite.OpenReader(context.Background(), path)
	if err != nil {
		return err
	}
	defer closeLogged(log, "database", reader)
	var wrong []string
	for key, want := range c.sums {
		have, _, err := reader.Value(context.Background(), key)
		if err != nil {
			return err
		}
		if have != want && !c.unknowns[key] {
			wrong = append(wrong, fmt.Sprintf("%s: the clients' sum is %d, the database has %d", key, want, have))
		}
	}
	v := &verdict{OK: true}
	v.add("clients", fmt.Sprintf("%s increments of %s keys were answered with 2xx, %d refused, %d unanswered; the database holds their sums, key by key",
		grouped(c.counted), grouped(len(c.sums)), c.refused, c.unknown), wrong)
	verify := verifyCmd{dataFlags: dataFlags{Data: dir}, dbFlag: dbFlag{DB: path}, Offline: true, Timeout: time.Minute}
	ctx, cancel := context.WithTimeout(context.Background(), verify.Timeout)
	defer cancel()
	if err := verify.offline(ctx, log, reader, v); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out.stdout)
	return v.finish(out, false)
}
