package ingress_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
	"github.com/piccolo-counter/piccolo/internal/leak"
)

func TestMain(m *testing.M) {
	os.Exit(leak.Main(m,
		// fasthttp's clock for the Date header runs as long as the process,
		// and what cleans its idle workers sleeps once more when they are gone.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	))
}

// door is an ingress on a real listener, with fakes behind it that assert.
type door struct {
	t      *testing.T
	in     *ingress.Ingress
	stream *stream
	reader *reader
	addr   string
	client *http.Client
	stop   func() error // what Execute returned
}

// open starts an ingress whose flush interval nobody lives to see: a batch is
// stored because somebody waits for it, or because the ingress stops.
func open(t *testing.T, change ...func(*ingress.Config)) *door {
	t.Helper()
	d := prepare(t, change...)
	d.start()
	return d
}

func prepare(t *testing.T, change ...func(*ingress.Config)) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{
		t:      t,
		addr:   l.Addr().String(),
		stream: newStream(t),
		reader: &reader{t: t},
		client: &http.Client{Transport: &http.Transport{}},
	}
	c := ingress.Config{
		Listener:      l,
		Producer:      "p",
		Partitions:    1,
		Stream:        d.stream,
		MaxMessage:    1 << 20,
		Reader:        d.reader,
		Observer:      d.stream,
		Log:           slog.New(slog.DiscardHandler),
		Spool:         t.TempDir(),
		Ack:           piccolo.AckStored,
		AckTimeout:    time.Minute,
		FlushInterval: time.Hour,
		DrainTimeout:  time.Minute,
		MaxKeys:       1000,
		MaxBody:       1 << 10,
		MaxKeyBytes:   64,
		MaxWatchers:   3,
	}
	for _, f := range change {
		f(&c)
	}
	d.stream.partitions, d.reader.partitions = c.Partitions, c.Partitions
	if d.in, err = ingress.New(c); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *door) start() {
	ended := make(chan error, 1)
	go func() { ended <- d.in.Execute() }()
	d.stop = sync.OnceValue(func() error {
		d.client.CloseIdleConnections()
		d.in.Interrupt(nil)
		return <-ended
	})
	d.t.Cleanup(func() { _ = d.stop() })
}

// until returns when something holds that nothing tells of, and fails where that
// takes a minute.
func (d *door) until(what string, holds func() bool) {
	d.t.Helper()
	look, late := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-late:
			d.t.Fatalf("a minute has passed before %s", what)
		}
	}
}

// of is d for a subtest.
func (d *door) of(t *testing.T) *door {
	sub := *d
	sub.t = t
	return &sub
}

// request is what a client sends. No method means POST, no target /increment.
type request struct {
	method, target string
	contentType    string
	body           string
	chunked        bool
	header         http.Header
}

// reply is what it gets.
type reply struct {
	status int
	header http.Header
	body   string
	closes bool // the connection
}

const (
	form       = "application/x-www-form-urlencoded"
	jsonObject = "application/json"
)

func (d *door) send(r request) reply {
	d.t.Helper()
	res, err := d.try(r)
	if err != nil {
		d.t.Fatal(err)
	}
	return res
}

func (d *door) try(r request) (reply, error) {
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.target == "" {
		r.target = "/increment"
	}
	var body io.Reader = strings.NewReader(r.body)
	if r.chunked {
		body = io.MultiReader(body) // of a length that nobody knows
	}
	req, err := http.NewRequest(r.method, "http://"+d.addr+r.target, body)
	if err != nil {
		return reply{}, err
	}
	if r.header != nil {
		req.Header = r.header
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	return readReply(res)
}

func readReply(res *http.Response) (reply, error) {
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(b), res.Close}, err
}

// count sends one increment of key, to be acked as ack says.
func (d *door) count(key, ack string) reply {
	d.t.Helper()
	return d.send(request{contentType: form, body: "value=1&key=" + key, header: http.Header{"Piccolo-Ack": {ack}}})
}

// async sends a request whose reply is to be held.
func (d *door) async(r request) <-chan reply {
	c := make(chan reply, 1)
	go func() {
		res, err := d.try(r)
		if err != nil {
			d.t.Error(err)
		}
		c <- res
	}()
	return c
}

// unanswered says that no reply has come. It cannot prove that none is on its
// way; that the stream holds back what the reply waits for does.
func unanswered(t *testing.T, c <-chan reply) {
	t.Helper()
	select {
	case r := <-c:
		t.Fatalf("replied %d %s before what it waits for", r.status, r.body)
	default:
	}
}

// batch returns the stored batch that a reply's receipt names.
func (d *door) batch(r reply) piccolo.Batch {
	d.t.Helper()
	receipt, err := piccolo.ParseReceipt(r.header.Get("Piccolo-Receipt"))
	if err != nil || len(receipt) != 1 {
		d.t.Fatalf("%d with receipt %q, %v: want one batch", r.status, r.header.Get("Piccolo-Receipt"), err)
	}
	b, ok := d.stream.stored(receipt[0])
	if !ok {
		d.t.Fatalf("the receipt names batch %s, which the stream does not have", receipt[0])
	}
	return b
}

// ack is the body of a 2xx reply to an increment.
type ack struct {
	Ack       string `json:"ack"`
	Receipt   string `json:"receipt"`
	Value     *int64 `json:"value"`
	ValueText string `json:"value_text"`
}

// acked checks that r is the reply of an increment for which held holds.
func (d *door) acked(r reply, status int, held string) ack {
	d.t.Helper()
	var a ack
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		d.t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	if r.status != status || a.Ack != held {
		d.t.Fatalf("%d with ack %q: want %d with %q", r.status, a.Ack, status, held)
	}
	if got := r.header.Get("Piccolo-Ack"); got != held {
		d.t.Fatalf("header Piccolo-Ack %q, body %q", got, held)
	}
	if got := r.header.Get("Piccolo-Receipt"); got != a.Receipt || got == "" {
		d.t.Fatalf("header Piccolo-Receipt %q, body %q", got, a.Receipt)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		d.t.Fatalf("Content-Type %q", got)
	}
	if (a.Value == nil) != (a.ValueText == "") || a.Value != nil && strconv.FormatInt(*a.Value, 10) != a.ValueText {
		d.t.Fatalf("value and value_text differ in %s", r.body)
	}
	return a
}

// problem is the body of a refusal.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Field  string `json:"field"`
	Index  *int   `json:"index"`
}

// refused checks that r is a refusal in the form of RFC 9457, and that it
// counted nothing: the next batch has the next increment and no other.
func (d *door) refused(r reply, status int) problem {
	d.t.Helper()
	p := d.declined(r, status)
	d.nothingWaits()
	return p
}

func (d *door) declined(r reply, status int) problem {
	d.t.Helper()
	var p problem
	if r.status != status {
		d.t.Fatalf("%d %s: want %d", r.status, r.body, status)
	}
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		d.t.Fatalf("Content-Type %q of %s", got, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		d.t.Fatalf("%v in %s", err, r.body)
	}
	if p.Status != status || p.Type == "" || p.Title != http.StatusText(status) || p.Detail == "" {
		d.t.Fatalf("problem %+v: want status %d with its title, and a detail", p, status)
	}
	return p
}

func (d *door) nothingWaits() {
	d.t.Helper()
	b := d.batch(d.count("marker", "stored"))
	if b.Increments != 1 || len(b.Deltas) != 1 || b.Deltas[0].Key != "marker" {
		d.t.Fatalf("a refused request was counted: %+v", b.Deltas)
	}
}

// stream is a Publisher that keeps what it is given, and sees to it that a
// batch is what the design says a batch is.
type stream struct {
	t          *testing.T
	partitions int
	asked      chan struct{} // a token for every Publish
	gaps       bool          // seqs may be missing

	mu      sync.Mutex
	answer  func(context.Context, *piccolo.Message) error
	flying  map[piccolo.Origin]uint64 // seq of the batch on its way
	seqs    map[piccolo.Origin]uint64 // of the last that is stored
	batches []piccolo.Batch
}

func newStream(t *testing.T) *stream {
	return &stream{
		t:      t,
		asked:  make(chan struct{}, 1000),
		answer: func(context.Context, *piccolo.Message) error { return nil },
		flying: make(map[piccolo.Origin]uint64),
		seqs:   make(map[piccolo.Origin]uint64),
	}
}

// answers has every Publish answered by f from now on, which may block.
func (s *stream) answers(f func(context.Context, *piccolo.Message) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// fails has every Publish fail with err, or succeed again where it is nil.
func (s *stream) fails(err error) {
	s.answers(func(context.Context, *piccolo.Message) error { return err })
}

// hold makes every Publish wait until release is called.
func (s *stream) hold() (release func()) {
	gate := make(chan struct{})
	s.answers(func(ctx context.Context, _ *piccolo.Message) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	release = sync.OnceFunc(func() { close(gate) })
	s.t.Cleanup(release)
	return release
}

func (s *stream) Publish(ctx context.Context, m *piccolo.Message) error {
	b := s.check(m)
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	s.asked <- struct{}{}
	err := answer(ctx, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flying, b.Origin())
	if err == nil {
		s.batches = append(s.batches, b)
		s.seqs[b.Origin()] = b.Seq
	}
	return err
}

func (s *stream) check(m *piccolo.Message) (b piccolo.Batch) {
	data := bytes.Clone(m.Data)
	if err := piccolo.DecodeBatch(data, &b); err != nil {
		s.t.Errorf("batch %s: %v", m.ID, err)
	}
	if b.BatchID != m.ID || b.Keys() != m.Keys || b.Increments != m.Increments {
		s.t.Errorf("message %s of %d keys and %d increments holds batch %s of %d and %d",
			m.ID, m.Keys, m.Increments, b.BatchID, b.Keys(), b.Increments)
	}
	sets := slices.ContainsFunc(b.Deltas, func(d piccolo.Delta) bool { return d.Op != piccolo.OpAdd })
	if b.Increments == 0 && !sets || b.Keys() == 0 || b.Accepted.IsZero() {
		s.t.Errorf("batch %s of %d deltas for %d increments, accepted %s", b.BatchID, b.Keys(), b.Increments, b.Accepted)
	}
	all := slices.Clone(b.Deltas)
	for _, o := range b.Onces {
		all = append(all, o.Deltas...)
	}
	for _, d := range all {
		if p := piccolo.Partition(piccolo.Hash(d.Key), s.partitions); p != b.Partition {
			s.t.Errorf("key %q of partition %d in batch %s", d.Key, p, b.BatchID)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq, busy := s.flying[b.Origin()]; busy {
		s.t.Errorf("batch %s published while %d is on its way", b.BatchID, seq)
	}
	s.flying[b.Origin()] = b.Seq
	if last := s.seqs[b.Origin()]; b.Seq <= last || b.Seq > last+1 && !s.gaps {
		s.t.Errorf("batch %s follows seq %d", b.BatchID, last)
	}
	return b
}

// Flushed makes the stream an Observer that knows what it may be told.
func (s *stream) Flushed(f piccolo.Flush) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		if f.Increments == b.Increments && f.Keys == b.Keys() && f.Bytes > 0 {
			return
		}
	}
	s.t.Errorf("observed %+v, which is no batch that is stored", f)
}

func (s *stream) stored(id piccolo.BatchID) (piccolo.Batch, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		if b.BatchID == id {
			return b, true
		}
	}
	return piccolo.Batch{}, false
}

// sums adds up what is stored, by key.
func (s *stream) sums() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sums := make(map[string]int64)
	for _, b := range s.batches {
		for _, d := range b.Deltas {
			sums[d.Key] += d.Value
		}
	}
	return sums
}

// reader is a Reader whose answers a test says.
type reader struct {
	t          *testing.T
	partitions int
	answer     func(context.Context, piccolo.Query) (piccolo.Answer, error)
	writers    func(context.Context, int, piccolo.Query) (piccolo.Answer, error) // where it matters which is asked
}

// value answers with one number, the first that is asked for.
func value(q piccolo.Query, v int64) piccolo.Answer {
	return piccolo.Answer{Numbers: []piccolo.Number{{Key: q.Keys[0], Value: v}}}
}

func (r *reader) Query(ctx context.Context, partition int, q piccolo.Query) (piccolo.Answer, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		r.t.Error("a query without a deadline")
	}
	for _, key := range q.Keys {
		if want := piccolo.Partition(piccolo.Hash(key), r.partitions); partition != want {
			r.t.Errorf("query for key %q of partition %d went to %d", key, want, partition)
		}
	}
	if r.writers != nil {
		return r.writers(ctx, partition, q)
	}
	return r.answer(ctx, q)
}
